//! Recorded calls that yielded images, repeated by the worker.

use base64_simd::STANDARD as BASE64;
use serde_json::{Value, json};
use worker::error::TaskError;
use worker::inputs::Input;
use worker::runtimes::{RunOutput, sdwebui};

use super::player::Player;
use super::{OWN_TESTS, call, calls};
use crate::{recordings, task};

/// The task type that leads to that recorded path.
pub(super) fn task_type(path: &str) -> &'static str {
    match path {
        "/sdapi/v1/txt2img" => "text-to-image",
        "/sdapi/v1/img2img" => "image-to-image",
        "/sdapi/v1/extra-single-image" => "extra-single-image",
        "/sdapi/v1/extra-batch-images" => "extra-batch-images",
        other => panic!("no task leads to {other}"),
    }
}

/// Runs a task against that one recorded answer, whatever it answered. Also returns the body that the worker sent.
pub(super) async fn run(
    tasktype: &str,
    content: &Value,
    inputs: Vec<Input>,
    recorded: Value,
) -> (Result<RunOutput, TaskError>, Value) {
    let path = recorded["request"]["path"].as_str().unwrap();
    let endpoint = path.strip_prefix("/sdapi/v1/").unwrap().to_owned();
    let player = Player::start(vec![recorded]).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();
    let result = runtime.run(task::job(tasktype, content, inputs)).await;

    assert_eq!(player.unanswered(), Vec::<String>::new());
    let requests = player.requests("POST", &endpoint);
    let [request] = requests.as_slice() else { panic!("{} requests to {endpoint}", requests.len()) };
    (result, request.json())
}

/// The body that the worker sends for a recorded one: bare base64 of the images, and the two fields that isolate callers.
fn as_sent(recorded: &Value) -> Value {
    let mut body = recorded["request"]["body"].clone();
    for image in inputs(&recorded["request"]["body"]) {
        *body.pointer_mut(&image.pointer).unwrap() = json!(BASE64.encode_to_string(&image.bytes));
    }
    if recorded["request"]["path"].as_str().unwrap().ends_with("2img") {
        if body.get("alwayson_scripts").is_none() {
            body["alwayson_scripts"] = json!({});
        }
        body["override_settings_restore_afterwards"] = json!(true);
    }
    body
}

/// The images of a recorded body, as the worker has them when it has fetched a task's images.
fn inputs(body: &Value) -> Vec<Input> {
    let fields = ["/image", "/init_images/0", "/imageList/0/data", "/imageList/1/data"];
    let image = |pointer: &str| Some(task::png(pointer, decoded(body.pointer(pointer)?)));
    fields.into_iter().filter_map(image).collect()
}

fn decoded(image: &Value) -> Vec<u8> {
    let text = image.as_str().unwrap();
    BASE64.decode_to_vec(text.rsplit(',').next().unwrap()).unwrap()
}

/// Every image of the answer, in its order.
fn images(answer: &Value) -> Vec<Vec<u8>> {
    match answer.get("image") {
        Some(image) => vec![decoded(image)],
        None => answer["images"].as_array().unwrap().iter().map(decoded).collect(),
    }
}

/// The report on an answer: what predecessors' clients read, and what they missed.
fn report(answer: &Value) -> Value {
    let Some(info) = answer.get("info") else {
        let parameters = json!({ "html_info": answer["html_info"], "id_task": task::ID, "error_msg": "" });
        return json!({ "images": [""], "parameters": parameters, "info": "" });
    };
    let info: Value = serde_json::from_str(info.as_str().unwrap()).unwrap();
    let mut parameters = answer["parameters"].clone();
    parameters["id_task"] = json!(task::ID);
    parameters["image_seed"] = json!(info["seed"].to_string());
    parameters["error_msg"] = json!("");
    let generation = json!({
        "model": info["sd_model_name"],
        "seeds": info["all_seeds"],
        "infotexts": info["infotexts"],
        "index_of_first_image": info["index_of_first_image"],
    });
    json!({ "images": [""], "parameters": parameters, "info": "", "generation": generation })
}

#[tokio::test]
async fn every_recorded_call_yields_its_images_and_a_report() {
    for name in recordings("sdwebui", OWN_TESTS) {
        let calls = calls(&name);
        let [recorded] = calls.as_slice() else { panic!("no test replays {name}, which has several calls") };
        let answer = &recorded["response"]["body"];
        let mut content = recorded["request"]["body"].clone();
        let inputs = inputs(&content);
        for input in &inputs {
            *content.pointer_mut(&input.pointer).unwrap() = json!("https://example.com/input.png");
        }
        let tasktype = task_type(recorded["request"]["path"].as_str().unwrap());
        let (result, sent) = run(tasktype, &content, inputs, recorded.clone()).await;

        assert_eq!(sent, as_sent(recorded), "{name}");
        let output = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(output.report, report(answer), "{name}");
        let files: Vec<_> = output.files.iter().map(|file| file.bytes.to_vec()).collect();
        assert!(files == images(answer) && !files.is_empty(), "{name} yielded other images");
    }
}

/// The worker does not call `/png-info`, but its users may: the recorded answer is what it reads out of the recorded
/// result of `txt2img`.
#[tokio::test]
pub(super) async fn the_generation_parameters_in_a_picture_are_kept() {
    let reading = call("png-info", "POST", "png-info");
    let recorded = call("txt2img", "POST", "txt2img");
    let content = recorded["request"]["body"].clone();

    let output = run("text-to-image", &content, Vec::new(), recorded).await.0.unwrap();

    let file = &output.files[0].bytes;
    assert!(
        *file == decoded(&reading["request"]["body"]["image"]),
        "the picture is not the one that was read"
    );
    let infotext = reading["response"]["body"]["info"].as_str().unwrap();
    assert!(file.windows(infotext.len()).any(|part| part == infotext.as_bytes()));
    assert_eq!(output.report["generation"]["infotexts"], json!([infotext]));
}
