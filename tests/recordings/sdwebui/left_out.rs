//! What servers omit from a run silently: units of ControlNet, networks and styles. Against the simulation, which does so too.

use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::notification::WarningCode;
use simulated_runtimes::{Dialect, SdWebUiOptions};

use super::names::{ALL, Server};

fn with_unit(unit: &Value) -> Value {
    json!({ "alwayson_scripts": { "ControlNet": { "args": [unit] } } })
}

/// How often that path was requested.
fn request_count(server: &Server, path: &str) -> usize {
    server.simulation.requests().iter().filter(|request| request.path.contains(path)).count()
}

#[tokio::test]
async fn a_module_that_the_server_does_not_have_is_refused_at_its_field() {
    for dialect in ALL {
        let server = Server::of(SdWebUiOptions { dialect, ..SdWebUiOptions::default() }).await;
        let unit = json!({ "enabled": true, "module": "cany", "model": "control_v11p_sd15_canny" });

        let error = server.run(with_unit(&unit)).await.unwrap_err();

        let field = "/content/alwayson_scripts/ControlNet/args/0/module";
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::RuntimeRejected, Some(field)));
        assert!(error.message.contains("`cany`") && error.message.contains("`canny`"), "{error}");
        assert!(server.simulation.busy().is_empty());
        let mut off = unit;
        off["enabled"] = json!(false);
        server.run(with_unit(&off)).await.unwrap();
    }
}

#[tokio::test]
async fn a_module_is_sent_as_the_server_lists_it() {
    for (dialect, lists, modules) in [
        (
            Dialect::Automatic1111,
            2,
            [("canny", "canny"), ("depth", "depth"), ("depth_midas", "depth_midas"), ("None", "none")],
        ),
        (
            Dialect::Forge,
            1,
            [("Canny", "canny"), ("openpose full", "openpose_full"), ("", ""), ("none", "None")],
        ),
    ] {
        let server = Server::of(SdWebUiOptions { dialect, ..SdWebUiOptions::default() }).await;
        for (asked, sent) in modules {
            let unit = json!({ "module": asked, "model": "None", "image": "AAAA" });
            server.run(with_unit(&unit)).await.unwrap();
            let body = server.sent("txt2img");
            assert_eq!(body["alwayson_scripts"]["ControlNet"]["args"][0]["module"], sent, "{dialect:?}");
        }
        assert_eq!(request_count(&server, "/controlnet/module_list"), lists, "{dialect:?}");
        assert_eq!(request_count(&server, "/controlnet/model_list"), 0);
    }
}

#[tokio::test]
async fn a_network_or_style_that_the_server_does_not_have_is_a_warning() {
    for dialect in ALL {
        let (loras, styles) = (vec!["fur.safetensors".to_owned()], vec!["Oil".to_owned()]);
        let server = Server::of(SdWebUiOptions { dialect, loras, styles, ..SdWebUiOptions::default() }).await;
        let known = json!({ "prompt": "a dog <lora:fur:0.8>", "styles": ["Oil", "None"] });
        for _ in 0..2 {
            assert_eq!(server.run(known.clone()).await.unwrap().warnings, [], "{dialect:?}");
        }
        assert_eq!((request_count(&server, "/loras"), request_count(&server, "/prompt-styles")), (1, 1));

        let unknown = json!({
            "prompt": "a dog <lora:fur:0.8> <lora:furr:1>", "styles": ["Oil", "Oli"],
            "enable_hr": true, "hr_upscaler": "Latent", "hr_prompt": "<lyco:mist:1>",
        });
        let output = server.run(unknown).await.unwrap();

        assert_eq!(output.files.len(), 1);
        let found: Vec<_> = output.warnings.iter().map(|it| (it.code, it.field.as_deref())).collect();
        let expected = ["/content/prompt", "/content/hr_prompt", "/content/styles"];
        assert_eq!(found, expected.map(|field| (WarningCode::ValueIgnored, Some(field))), "{dialect:?}");
        for (warning, name) in output.warnings.iter().zip(["`furr`", "`mist`", "`Oli`"]) {
            assert!(warning.message.contains(name) && !warning.message.contains("`fur`"), "{warning:?}");
        }
    }
}

#[tokio::test]
async fn lists_are_requested_only_for_tasks_that_need_them() {
    let server = Server::of(SdWebUiOptions::default()).await;
    server.run(json!({ "prompt": "a dog", "negative_prompt": "<lora:x:1>", "styles": [] })).await.unwrap();
    server.run(json!({ "prompt": "<lora:x:1>", "disable_extra_networks": true })).await.unwrap();
    for list in ["/loras", "/prompt-styles", "/controlnet/module_list", "/controlnet/model_list"] {
        assert_eq!(request_count(&server, list), 0, "{list}");
    }
}
