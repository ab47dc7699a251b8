//! What the programs of the stack read from the configuration of a deployment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use deployment_config::{Checked, registry};
use local_stack::config::{built_in, worker_variables};
use shared_schema::Limits;

const SMALLEST: &str = include_str!("../../../examples/minimal.yaml");

#[test]
fn the_built_in_deployment_follows_the_rules_of_a_deployment() {
    assert_eq!(built_in().unwrap().runtimes.len(), 2);
}

#[test]
fn front_door_and_worker_have_the_same_limits() {
    let of = |limits: &str| {
        let file = SMALLEST.replace("type: sdwebui", &format!("type: sdwebui\n    limits: {limits}"));
        let config = Checked::parse(&file).unwrap().config;
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

/// Both have these rules: a deployment must not start workers that refuse to run.
#[test]
fn deployment_and_worker_refuse_the_same_deadlines() {
    let check = |run: u32, visibility: u32, drain: u32, grace: u32| {
        let deadlines = format!("{{ run: {run}, visibility: {visibility}, drain: {drain}, grace: {grace} }}");
        let instances = "    instances: { purchase: on-demand }\n";
        let checked = Checked::parse(&format!("{SMALLEST}{instances}    deadlines: {deadlines}\n"));
        let worker = worker::config::Config::from_vars(|name| {
            let value = match name {
                "RUN_TIMEOUT_SECONDS" => run.to_string(),
                "VISIBILITY_TIMEOUT_SECONDS" => visibility.to_string(),
                "DRAIN_SECONDS" => drain.to_string(),
                "GRACE_PERIOD_SECONDS" => grace.to_string(),
                "RUNTIME_TYPE" => "sdwebui".to_owned(),
                "SQS_QUEUE_URL" | "SNS_TOPIC_ARN" | "S3_BUCKET" => "given".to_owned(),
                _ => return None,
            };
            Some(value)
        });
        assert_eq!(checked.is_ok(), worker.is_ok(), "{deadlines}: {checked:?} {worker:?}");
        checked.is_ok()
    };
    assert!(check(42_000, 1_200, 290, 300));
    assert!(!check(42_000, 1_201, 290, 300));
    assert!(!check(42_000, 1_200, 291, 300));
}
