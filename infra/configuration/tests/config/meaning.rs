use std::path::Path;

use deployment_config::{Checked, Runtime, registry};
use serde_json::json;
use shared_schema::Limits;

use crate::SMALLEST;

#[test]
fn omitted_fields_have_the_defaults_of_the_schema() {
    let config = Checked::parse(SMALLEST).unwrap().config;
    assert_eq!((config.name.as_str(), config.api.message_bytes), ("darkroom", 262_144));
    assert_eq!(config.results.url_seconds, 86_400);
    let records = &config.records;
    assert_eq!((records.enabled, records.days, records.max_unfinished_tasks), (true, 30, 0));
    let [runtime] = config.runtimes.as_slice() else { panic!("{:?}", config.runtimes) };
    assert_eq!((runtime.deadlines.run, runtime.deadlines.visibility), (1800, 120));
    assert_eq!((runtime.attempts, runtime.concurrency), (3, 1));
    assert!(runtime.claim_check && !runtime.dynamic_model && !runtime.notify_running);
    assert_eq!(runtime.hourly_price, None);
}

#[test]
fn the_front_doors_registry_follows_from_the_file() {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/full.yaml");
    let registry = registry(&Checked::load(&full).unwrap().config.runtimes);
    assert_eq!(
        serde_json::to_value(&registry).unwrap(),
        json!([
            {
                "name": "sdruntime",
                "type": "sdwebui",
                "models": ["sd_xl_base_1.0.safetensors", "dreamshaper_8.safetensors"],
                "task_types": ["text-to-image", "image-to-image", "extra-single-image"],
                "limits": { "max_pixels": 4_194_304, "max_steps": 100, "max_images": 8, "max_bytes": 4_194_304 },
                "claim_check": true,
                "allowed_settings": ["control_net_no_detectmap"],
                "allowed_scripts": ["X/Y/Z plot"],
                "hourly_price": 1.006,
            },
            {
                "name": "comfyui",
                "type": "comfyui",
                "models": [],
                "task_types": [],
                "limits": { "max_pixels": 67_108_864, "max_steps": 500, "max_images": 128 },
                "claim_check": true,
                "denied_nodes": ["VHS_LoadVideoPath", "LoadImageFromUrl"],
            },
        ])
    );
}

#[test]
fn an_unlisted_runtime_accepts_all_that_its_type_accepts() {
    let unlisted = [Runtime::unlisted("mine", "sdwebui").unwrap()];
    let limits = Limits::default();
    let expected = json!([{ "name": "mine", "type": "sdwebui", "models": [], "task_types": [], "limits": limits, "claim_check": true }]);
    assert_eq!(serde_json::to_value(registry(&unlisted)).unwrap(), expected);
}
