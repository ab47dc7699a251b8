//! The load test.

use integration_tests::lab::free_port;
use serde_json::json;
use simulated_runtimes::{Fault, SdWebUiOptions, Simulation};

use super::{json_of, run_at};
use crate::served::Served;

const LOAD: [&str; 10] =
    ["load", "x", "--set", "width=64", "--set", "height=64", "--tasks", "6", "--concurrency", "3"];

#[tokio::test]
async fn a_load_test_reports_each_stage() {
    let stack = Served::start().await;
    let report = json_of(&stack, &[&LOAD[..], &["--rate", "50"]].concat()).await;
    assert_eq!((&report["accepted"], &report["statuses"]), (&json!(6), &json!({ "succeeded": 6 })));
    for stage in ["accept", "queue", "prepare", "run", "store", "total"] {
        let stage = &report["stages"][stage];
        assert_eq!(stage["count"], 6, "{report}");
        let ms = |name: &str| stage[name].as_f64().unwrap();
        assert!(
            ms("min_ms") <= ms("p50_ms") && ms("p50_ms") <= ms("p99_ms") && ms("p99_ms") <= ms("max_ms"),
            "{stage}"
        );
    }
    // A simulated run takes 50 ms. Only the first one is waited for from its start: of the others any part passes before.
    assert!(report["stages"]["run"]["max_ms"].as_u64().unwrap() >= 49, "{report}");
    let label = format!("load={}", report["load"].as_str().unwrap());
    let tasks = json_of(&stack, &["list", "--label", &label]).await;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 6);
    let shown = run_at(&stack.url, &LOAD).await.printed.join("\n");
    assert!(shown.contains("6 of 6 tasks accepted: 6 succeeded") && shown.contains("P95"), "{shown}");
}

#[tokio::test]
async fn failures_are_counted_by_their_codes() {
    let simulation = Simulation::start_sdwebui(free_port(), SdWebUiOptions::default()).await.unwrap();
    let broken =
        Fault::Exception { node: None, kind: "RuntimeError".into(), message: "shapes differ".into() };
    simulation.faults().plan(broken, 2);
    let attached = format!("sdruntime=sdwebui:{}", simulation.url());
    let stack = Served::start_with(&["--runtime", &attached]).await;
    let report = run_at(&stack.url, &[&LOAD[..], &["--json"]].concat()).await;
    assert_eq!(report.code, 1, "{}", report.notes);
    let report = report.json();
    assert_eq!(report["statuses"], json!({ "failed": 2, "succeeded": 4 }));
    assert_eq!(
        (&report["errors"], &report["stages"]["run"]["count"]),
        (&json!({ "runtime_failed": 2 }), &json!(4))
    );
}

#[tokio::test]
async fn a_load_test_ends_when_its_time_is_over() {
    let stack = Served::start_with(&["--latency-ms", "600000"]).await;
    let late = run_at(&stack.url, &[&LOAD[..], &["--timeout", "2", "--json"]].concat()).await;
    assert_eq!((late.code, &late.json()["accepted"]), (1, &json!(6)), "{}", late.notes);
    assert_eq!(late.json()["statuses"], json!({}));
    let unbounded = run_at(&stack.url, &["load", "x", "--tasks", "1000000"]).await;
    assert_eq!(unbounded.code, 2);
}
