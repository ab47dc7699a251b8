//! The recording of stable-diffusion.cpp's `sd-server`.

use base64_simd::STANDARD as BASE64;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use simulated_runtimes::{ImageServer, OpenAiImagesOptions, Sample, Simulation};

use crate::{
    any_port, client,
    compare::{Tolerance, assert_same},
    recording,
};

const TOLERATED: &[Tolerance] =
    &[("created", "the time of the run"), ("b64_json", "another picture, and cut in the recording")];

async fn start() -> Simulation {
    let options = OpenAiImagesOptions { server: ImageServer::SdServer, ..Default::default() };
    Simulation::start_openai_images(any_port(), options).await.unwrap()
}

async fn answer(call: reqwest::RequestBuilder) -> Value {
    let answer = call.send().await.unwrap();
    let status = answer.status().as_u16();
    json!({"status": status, "body": answer.json::<Value>().await.unwrap()})
}

fn expected(call: &Value) -> Value {
    json!({"status": call["response"]["status"], "body": call["response"]["body"]})
}

fn size(answer: &Value) -> (usize, usize) {
    let file = BASE64.decode_to_vec(answer["body"]["data"][0]["b64_json"].as_str().unwrap()).unwrap();
    let size = imagesize::blob_size(&file).unwrap();
    (size.width, size.height)
}

#[tokio::test]
async fn every_call_is_answered_as_recorded() {
    let simulation = start().await;
    let recording = recording("openai-images/sd-server");
    let [models, generation, refusal, edit] = recording["calls"].as_array().unwrap().as_slice() else {
        panic!("the recording has other calls")
    };
    let url = |call: &Value| format!("{}{}", simulation.url(), call["request"]["path"].as_str().unwrap());

    let found = answer(client().get(url(models))).await;
    assert_same("models", &expected(models), &found, TOLERATED);
    for call in [generation, refusal] {
        let found = answer(client().post(url(call)).json(&call["request"]["body"])).await;
        assert_same("generations", &expected(call), &found, TOLERATED);
        if found["status"] == 200 {
            assert_eq!(size(&found), (64, 64));
        }
    }
    // Of the recorded form only the beginning was kept.
    let prompt = "a dog<sd_cpp_extra_args>{\"sample_params\":{\"sample_steps\":1}}</sd_cpp_extra_args>";
    let image = Part::bytes(Sample::Jpeg.bytes()).file_name("image.jpg");
    let form = Form::new().text("prompt", prompt).text("size", "64x64").part("image[]", image);
    let found = answer(client().post(url(edit)).multipart(form)).await;
    assert_same("edits", &expected(edit), &found, TOLERATED);
    assert_eq!(simulation.busy().last().unwrap().label, "a dog");
}
