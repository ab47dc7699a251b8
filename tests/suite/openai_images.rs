//! The whole path with a server that has OpenAI's Images API, and what becomes of a run that nothing interrupts.

use integration_tests::health_port::HealthPort;
use integration_tests::image_server::{ImageServer, cat};
use integration_tests::lab::{Lab, Runtime, SubmitApi, free_port};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::notification::TaskStatus;
use simulated_runtimes::{OpenAiImagesOptions, Simulation};

async fn runtime(lab: &Lab) -> Runtime {
    let options = OpenAiImagesOptions::default();
    let simulation = Simulation::start_openai_images(free_port(), options).await.unwrap();
    lab.runtime("images", "openai-images", simulation.url(), Some(simulation), &[]).await
}

fn small() -> Value {
    json!({ "prompt": "a cat", "size": "64x64", "num_inference_steps": 2 })
}

/// Submits a task whose run may take a second.
async fn submit_hasty(api: &SubmitApi, id: &str) {
    let metadata = json!({ "id": id, "runtime": "images", "tasktype": "text-to-image", "run_timeout": 1 });
    let body = json!({ "task": { "metadata": metadata, "content": small() } });
    let (status, answer) = api.post("/v1alpha2", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test]
async fn a_prompt_becomes_images() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let content = json!({ "prompt": "a cat", "n": 2, "size": "128x64", "num_inference_steps": 2, "seed": 7 });
    api.submit("images", "text-to-image", "cats", content).await;

    let completion = lab.completion("cats").await;
    assert!(completion.result, "{completion:?}");
    assert_eq!(completion.image_url.len(), 2);
    for (uri, output) in completion.image_url.iter().zip(&completion.outputs) {
        let (png, content_type) = lab.object(uri).await;
        assert!(png.starts_with(b"\x89PNG") && content_type == "image/png", "{uri}");
        assert_eq!((output.width, output.height), (Some(128), Some(64)));
    }
    let out = lab.json(&completion.output_url).await;
    assert_eq!(
        (&out["size"], &out["data"]),
        (&json!("128x64"), &json!([{ "revised_prompt": null }, { "revised_prompt": null }]))
    );
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn an_image_is_fetched_and_edited() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab).await;
    let images = ImageServer::start().await;
    let address = images.address.to_string();
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("INPUT_ALLOW_HOSTS", &address)]).await;
    let source = images.url("cat.png");
    api.submit("images", "image-to-image", "edited", json!({ "prompt": "in the snow", "image": source }))
        .await;

    let completion = lab.completion("edited").await;
    assert!(completion.result, "{completion:?}");
    let size = imagesize::blob_size(&cat()).unwrap();
    let (width, height) = (Some(size.width as u64), Some(size.height as u64));
    assert_eq!((completion.outputs[0].width, completion.outputs[0].height), (width, height));
    let asked = runtime.simulation.as_ref().unwrap().requests();
    assert!(asked.iter().any(|request| request.path == "/v1/images/edits"), "{asked:?}");
}

#[tokio::test]
async fn a_run_beyond_its_time_is_waited_for() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab).await;
    let simulation = runtime.simulation.as_ref().unwrap();
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let port = HealthPort::of(&mut worker).await;
    let hold = simulation.hold().await;
    submit_hasty(&api, "late").await;

    let completion = lab.completion("late").await;
    assert_eq!(
        (completion.task_status, completion.error.unwrap().code),
        (TaskStatus::Expired, ErrorCode::RunTimeout)
    );
    port.until("/readyz", Err("waiting_for_runtime")).await;
    api.submit("images", "text-to-image", "next", small()).await;
    worker.logged("waiting for the runtime").await;
    assert_eq!(port.probe("/runtime-livez").await, Ok(()));
    assert_eq!(simulation.busy(), [], "the run goes on");

    drop(hold);
    assert!(lab.completion("next").await.result);
    let posted = simulation.requests().into_iter().filter(|request| request.method == "POST").count();
    assert_eq!(posted, 2);
}

#[tokio::test]
async fn a_run_beyond_its_time_makes_the_runtime_restart_where_that_is_configured() {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[("UNINTERRUPTIBLE_RUN", "restart")]).await;
    let port = HealthPort::of(&mut worker).await;
    let hold = runtime.simulation.as_ref().unwrap().hold().await;
    submit_hasty(&api, "late").await;

    assert_eq!(lab.completion("late").await.task_status, TaskStatus::Expired);
    port.until("/runtime-livez", Err("runtime_stuck")).await;
    api.submit("images", "text-to-image", "next", small()).await;

    // As the kubelet restarts the container.
    runtime.stop();
    drop(hold);
    runtime.start_again().await;
    port.until("/runtime-livez", Ok(())).await;
    assert!(lab.completion("next").await.result);
}
