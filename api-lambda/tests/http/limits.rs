//! How much work a task may ask for: the defaults, and what a configuration makes of them.

use serde_json::{Value, json};

use crate::door::{Door, text_to_image};
use crate::sns::Mood;

const CONTENT: &str = "/task/content";

/// A text-to-image task with these fields.
fn asking(fields: &Value) -> Value {
    let mut body = text_to_image();
    body["task"]["content"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// The fields that are refused as too large.
async fn too_large(door: &Door, fields: &Value) -> Vec<String> {
    let answer = door.post_json("/v1alpha2", &asking(fields)).await;
    if answer.status == 200 {
        return Vec::new();
    }
    let violations = answer.violations("invalid_task").into_iter();
    violations
        .map(|(pointer, code)| {
            assert_eq!(code, "too_large", "{}", answer.text);
            pointer.strip_prefix(CONTENT).unwrap().trim_start_matches('/').to_owned()
        })
        .collect()
}

#[tokio::test]
async fn what_no_runtime_can_do_is_refused_without_any_configuration() {
    for door in [Door::open().await, Door::without_registry().await] {
        for (fields, refused) in [
            (json!({"width": 100_000, "height": 100_000}), "width"),
            (json!({"enable_hr": true, "hr_scale": 1_000}), "hr_scale"),
            (json!({"n_iter": 1_000_000}), "n_iter"),
            (json!({"batch_size": 100_000}), "batch_size"),
            (json!({"steps": 1_000_000_000}), "steps"),
            (json!({"cfg_scale": 1e308}), "cfg_scale"),
        ] {
            assert_eq!(too_large(&door, &fields).await, [refused], "{fields}");
        }
        assert!(door.sns.calls().is_empty());
        assert_eq!(
            too_large(&door, &json!({"width": 8192, "height": 8192, "steps": 500, "n_iter": 128})).await,
            [""; 0]
        );
    }
}

#[tokio::test]
async fn sizes_of_nodes_are_limited_wherever_they_are_written() {
    let door = Door::open().await;
    for (class, inputs, refused) in [
        (
            "ResizeImageMaskNode",
            json!({"resize_type.width": 16_384, "resize_type.height": 16_384}),
            "resize_type.width",
        ),
        ("ResizeImageMaskNode", json!({"resize_type.longer_size": 16_384}), "resize_type.longer_size"),
        ("ResizeImageMaskNode", json!({"resize_type.multiplier": 1_000}), "resize_type.multiplier"),
        ("ImageScaleToMaxDimension", json!({"largest_size": 16_384}), "largest_size"),
        (
            "ImagePadForOutpaint",
            json!({"left": 8_192, "top": 8_192, "right": 8_192, "bottom": 8_192}),
            "left",
        ),
        ("ImagePadForOutpaint", json!({"left": 256, "top": 0, "right": 256, "bottom": 0}), ""),
        ("ResizeImageMaskNode", json!({"resize_type.width": 8_192, "resize_type.height": 8_192}), ""),
    ] {
        let metadata = json!({"id": "test", "runtime": "comfyui", "tasktype": "pipeline"});
        let content = json!({"1": {"class_type": class, "inputs": inputs}});
        let answer =
            door.post_json("/v1alpha2", &json!({"task": {"metadata": metadata, "content": content}})).await;
        if refused.is_empty() {
            answer.accepted();
        } else {
            let expected = [(format!("{CONTENT}/1/inputs/{refused}"), "too_large".to_owned())];
            assert_eq!(answer.violations("invalid_task"), expected, "{class}");
        }
    }
}

#[tokio::test]
async fn a_configuration_raises_and_lowers_each_limit() {
    let registry = |limits: Value| {
        json!([{"name": "sdruntime", "type": "sdwebui", "limits": limits}, {"name": "comfyui", "type": "comfyui"}])
            .to_string()
    };
    let (raised, lowered) = (
        registry(json!({"max_pixels": 100_000_000, "max_steps": 1_000, "max_images": 1_000})),
        registry(json!({"max_pixels": 65_536, "max_steps": 10, "max_images": 1})),
    );
    let more = json!({"width": 10_000, "height": 10_000, "steps": 1_000, "n_iter": 1_000});
    let usual = json!({"width": 512, "height": 512, "steps": 20, "n_iter": 2});
    for (vars, content, refused) in [
        (vec![("RUNTIMES", raised.as_str())], &more, vec![]),
        (vec![("RUNTIMES", lowered.as_str())], &usual, vec!["width", "steps", "n_iter"]),
        (vec![("MAX_PIXELS", "100000000"), ("MAX_STEPS", "1000"), ("MAX_IMAGES", "1000")], &more, vec![]),
        (
            vec![("MAX_PIXELS", "65536"), ("MAX_STEPS", "10"), ("MAX_IMAGES", "1")],
            &usual,
            vec!["width", "steps", "n_iter"],
        ),
    ] {
        let door = Door::with(Mood::Well, &vars).await;
        assert_eq!(too_large(&door, content).await, refused, "{vars:?}");
    }
}

#[tokio::test]
async fn a_script_with_parameters_of_its_own_is_refused_unless_the_deployment_allows_it() {
    let plot = asking(&json!({"script_name": "X/Y/Z plot", "script_args": [4, "10000", []]}));
    let lines = asking(&json!({"script_name": "prompts from file or textbox", "script_args": []}));
    let refused = [("/task/content/script_name".to_owned(), "not_allowed".to_owned())];
    for door in [Door::open().await, Door::without_registry().await] {
        for task in [&plot, &lines] {
            let answer = door.post_json("/v1alpha2", task).await;
            assert_eq!(answer.violations("invalid_task"), refused);
        }
        assert!(door.sns.calls().is_empty());
    }
    let registry = json!([
        {"name": "sdruntime", "type": "sdwebui", "allowed_scripts": ["x/y/z plot"]},
        {"name": "comfyui", "type": "comfyui"},
    ]);
    for vars in [("RUNTIMES", registry.to_string()), ("SCRIPTS_ALLOWED", "Another, x/y/z plot".to_owned())] {
        let door = Door::with(Mood::Well, &[(vars.0, &vars.1)]).await;
        door.post_json("/v1alpha2", &plot).await.accepted();
        assert_eq!(door.post_json("/v1alpha2", &lines).await.violations("invalid_task"), refused);
    }
}

#[tokio::test]
async fn loops_and_frames_count_as_images() {
    let door = Door::open().await;
    let animation = |length: u32| {
        let unit = json!({"enable": true, "video_length": length});
        json!({"alwayson_scripts": {"AnimateDiff": {"args": [unit]}}})
    };
    let loops =
        |loops: u32| json!({"script_name": "Loopback", "script_args": [loops, 0.5, "Linear", "None"]});
    for (most, more, field) in [
        (animation(128), animation(129), "alwayson_scripts/AnimateDiff/args/0/video_length"),
        (loops(128), loops(129), "script_args/0"),
    ] {
        assert_eq!(too_large(&door, &most).await, [""; 0]);
        assert_eq!(too_large(&door, &more).await, [field]);
    }
}
