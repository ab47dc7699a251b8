//! Limits of the work of a task: what a predecessor's front door has let through unchecked is refused before the run.

use base64_simd::STANDARD as BASE64;
use integration_tests::image_server::cat;
use integration_tests::lab::Lab;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{ComfyUiOptions, SdWebUiOptions};

/// A message, as it is in the queue.
fn message(id: &str, runtime: &str, task_type: &str, content: &Value) -> String {
    let metadata = json!({ "id": id, "runtime": runtime, "tasktype": task_type, "prefix": "output" });
    json!({ "metadata": metadata, "content": content }).to_string()
}

fn workflow(side: u32, steps: u32) -> Value {
    json!({
        "1": { "class_type": "EmptyImage", "inputs": { "width": side, "height": side, "batch_size": 1, "color": 0 } },
        "2": { "class_type": "SaveImage", "inputs": { "images": ["1", 0], "filename_prefix": "x" } },
        // No output needs it, so it does not run; the contract looks at every node.
        "3": { "class_type": "KSampler", "inputs": { "steps": steps } },
    })
}

#[tokio::test]
async fn an_excessive_task_fails_and_never_reaches_the_runtime() {
    let lab = Lab::start().await;
    let (sdwebui, comfyui) =
        (lab.sdwebui(SdWebUiOptions::default()).await, lab.comfyui(ComfyUiOptions::default()).await);
    let (_first, _second) = (lab.worker(&sdwebui, &[]).await, lab.worker(&comfyui, &[]).await);
    let picture =
        json!({ "prompt": "x", "width": 100_000, "height": 100_000, "n_iter": 1_000_000, "steps": 1e9 });
    lab.send(&sdwebui.queue.url, &message("picture", "sdruntime", "text-to-image", &picture)).await;
    lab.send(&comfyui.queue.url, &message("flow", "comfyui", "pipeline", &workflow(16_384, 10_000))).await;
    for (id, fields) in [
        ("picture", vec!["/content/width", "/content/steps", "/content/n_iter"]),
        ("flow", vec!["/content/1/inputs/width", "/content/3/inputs/steps"]),
    ] {
        let error = lab.completion(id).await.error.unwrap();
        assert_eq!((error.code, error.attempts), (ErrorCode::InvalidTask, 1), "{id}: {error:?}");
        let named: Vec<&str> = error.violations.iter().map(|violation| violation.pointer.as_str()).collect();
        assert_eq!(named, fields, "{error:?}");
        assert!(error.violations[0].message.contains("67108864"), "{error:?}");
    }
    for runtime in [&sdwebui, &comfyui] {
        assert!(
            runtime.simulation.as_ref().unwrap().busy().is_empty(),
            "the runtime was called all the same"
        );
    }
}

#[tokio::test]
async fn a_worker_applies_the_limits_of_its_variables() {
    let lab = Lab::start().await;
    let (sdwebui, comfyui) =
        (lab.sdwebui(SdWebUiOptions::default()).await, lab.comfyui(ComfyUiOptions::default()).await);
    let lower = [("MAX_PIXELS", "4096"), ("MAX_STEPS", "2"), ("MAX_IMAGES", "1")];
    let (_first, _second) =
        (lab.worker(&sdwebui, &[("MAX_STEPS", "600")]).await, lab.worker(&comfyui, &lower).await);
    let picture = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 600 });
    lab.send(&sdwebui.queue.url, &message("raised", "sdruntime", "text-to-image", &picture)).await;
    lab.send(&comfyui.queue.url, &message("lowered", "comfyui", "pipeline", &workflow(128, 3))).await;
    lab.send(&comfyui.queue.url, &message("within", "comfyui", "pipeline", &workflow(64, 2))).await;
    let completion = lab.completion("raised").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!(lab.completion("lowered").await.error.unwrap().code, ErrorCode::InvalidTask);
    let completion = lab.completion("within").await;
    assert!(completion.result, "{:?}", completion.error);
}

#[tokio::test]
async fn a_picture_is_not_enlarged_beyond_the_limit_by_its_real_size() {
    let lab = Lab::start().await;
    let sdwebui = lab.sdwebui(SdWebUiOptions::default()).await;
    let _worker = lab.worker(&sdwebui, &[("MAX_PIXELS", "20000")]).await;
    // It has 64 by 48 pixels, and covers a square by its height.
    let picture = BASE64.encode_to_string(cat());
    let covering = |side: u32| {
        json!({ "image": picture, "upscaler_1": "Lanczos", "resize_mode": 1,
                "upscaling_resize_w": side, "upscaling_resize_h": side })
    };
    for (id, side) in [("within", 100), ("beyond", 140)] {
        lab.send(&sdwebui.queue.url, &message(id, "sdruntime", "extra-single-image", &covering(side))).await;
    }
    let completion = lab.completion("within").await;
    assert!(completion.result, "{:?}", completion.error);
    let error = lab.completion("beyond").await.error.unwrap();
    let found = (error.code, error.field.as_deref(), error.attempts);
    assert_eq!(found, (ErrorCode::InputTooLarge, Some("/content/image"), 1), "{error:?}");
    assert_eq!(sdwebui.simulation.as_ref().unwrap().busy().len(), 1, "the runtime was called all the same");
}

/// Such a script sets sizes, checkpoints and folders by itself.
#[tokio::test]
async fn a_script_with_parameters_of_its_own_runs_only_where_the_worker_allows_it() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let _worker = lab.worker(&runtime, &[("SCRIPTS_ALLOWED", "sd upscale, X/Y/Z plot")]).await;
    for (id, script) in [("refused", "prompt matrix"), ("allowed", "x/y/z plot")] {
        let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 1, "script_name": script });
        lab.send(&runtime.queue.url, &message(id, "sdruntime", "text-to-image", &content)).await;
    }
    let error = lab.completion("refused").await.error.unwrap();
    let found = (error.code, error.field.as_deref(), error.attempts);
    assert_eq!(found, (ErrorCode::InvalidTask, Some("/content/script_name"), 1), "{error:?}");
    let completion = lab.completion("allowed").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!(runtime.simulation.as_ref().unwrap().busy().len(), 1);
}
