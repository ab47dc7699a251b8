use std::path::Path;

use local_stack::config::{Config, Runtime, registry, worker_variables};
use serde_json::json;
use shared_schema::Limits;

use crate::SMALLEST;

#[test]
fn what_is_left_out_is_the_schemas_default() {
    let config = Config::parse(SMALLEST).unwrap();
    assert_eq!((config.name.as_str(), config.api.message_bytes), ("darkroom", 262_144));
    assert_eq!(config.results.url_seconds, 86_400);
    let [runtime] = config.runtimes.as_slice() else { panic!("{:?}", config.runtimes) };
    assert_eq!((runtime.deadlines.run, runtime.deadlines.visibility), (1800, 120));
    assert_eq!((runtime.attempts, runtime.concurrency), (3, 1));
    assert!(runtime.claim_check && !runtime.dynamic_model && !runtime.notify_running);
}

#[test]
fn the_front_doors_registry_follows_from_the_file() {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/full.yaml");
    let registry = registry(&Config::load(&full).unwrap().runtimes);
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
fn a_runtime_of_no_file_takes_all_that_its_type_takes() {
    let unlisted = [Runtime::unlisted("mine", "sdwebui").unwrap()];
    let limits = Limits::default();
    let expected = json!([{ "name": "mine", "type": "sdwebui", "models": [], "task_types": [], "limits": limits, "claim_check": true }]);
    assert_eq!(serde_json::to_value(registry(&unlisted)).unwrap(), expected);
}

#[test]
fn front_door_and_worker_have_the_same_limits() {
    let of = |limits: &str| {
        let file = SMALLEST.replace("type: sdwebui", &format!("type: sdwebui\n    limits: {limits}"));
        let config = Config::parse(&file).unwrap();
        let [runtime] = config.runtimes.as_slice() else { panic!("{:?}", config.runtimes) };
        let variables = worker_variables(&config, runtime);
        let worker: [u64; 3] =
            ["MAX_PIXELS", "MAX_STEPS", "MAX_IMAGES"].map(|name| variables[name].parse().unwrap());
        let limits = registry(&config.runtimes).entries()[0].limits;
        assert_eq!([limits.max_pixels, limits.max_steps, limits.max_images], worker);
        limits
    };
    assert_eq!(of("{}"), Limits::default(), "the defaults of the schema are those of the contract");
    assert_eq!(of("{ maxSteps: 5000 }"), Limits { max_steps: 5_000, ..Limits::default() });
    let limits = Limits { max_pixels: 1, max_steps: 2, max_images: 3, max_bytes: Some(4) };
    assert_eq!(of("{ maxPixels: 1, maxSteps: 2, maxImages: 3, maxBytes: 4 }"), limits);
}
