//! Metrics in CloudWatch, from the programs to the log group.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use integration_tests::cloudwatch_logs::CloudWatchLogs;
use integration_tests::lab::Lab;
use serde_json::{Value, json};
use simulated_runtimes::SdWebUiOptions;
use task_metrics::Metric;

use crate::function::{Function, rest, rest_post};

const NAMESPACE: (&str, &str) = ("METRICS_NAMESPACE", "Darkroom/test");

#[test]
fn the_page_lists_the_metrics_of_all_programs() {
    let page = include_str!("../../docs/observability.md");
    let rows = page.lines().filter(|line| line.contains("<!--cloudwatch-->"));
    let listed: BTreeSet<[String; 5]> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let name = cells[0].split('`').nth(1).unwrap();
            [name, cells[1], cells[2].trim_matches('`'), cells[3], cells[4]].map(str::to_owned)
        })
        .collect();
    let row = |program: &str, metric: &Metric| {
        let dimensions = metric.dimensions.join(", ");
        [metric.name, metric.unit.as_str(), &dimensions, program, metric.help].map(str::to_owned)
    };
    let defined: BTreeSet<[String; 5]> = worker::health::cloudwatch::ALL
        .iter()
        .map(|metric| row("worker", metric))
        .chain(api_lambda::metrics::ALL.iter().map(|metric| row("front door", metric)))
        .chain([row("dead-letter function", &worker::dead_letter::TASKS_DEAD_LETTERED)])
        .collect();
    assert_eq!(listed, defined);
}

/// The documents among the lines of a function.
pub(crate) fn documents(lines: &[String]) -> Vec<Value> {
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get("_aws").is_some()).collect()
}

#[tokio::test]
async fn the_front_door_prints_what_it_accepts_and_refuses() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let registry = json!([{ "name": runtime.name, "type": "sdwebui", "models": [] }]);
    let mut function = Function::start_with(&lab, &registry, &[NAMESPACE]).await;
    assert_eq!(function.answer(rest("POST", "/v1alpha2")).await.status, 200);
    assert_eq!(function.answer(rest_post("/v1alpha2", &json!({}))).await.status, 400);

    function.process.signal("TERM");
    function.process.exited().await;
    let documents = documents(&function.process.printed());
    let [accepted, refused] = &documents[..] else { panic!("{documents:?}") };
    assert_eq!((&accepted["TasksAccepted"], &accepted["runtime"]), (&json!(1.0), &json!("sdruntime")));
    assert_eq!((&refused["RequestsRefused"], &refused["code"]), (&json!(1.0), &json!("invalid_task")));
    for document in &documents {
        assert_eq!(document["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Darkroom/test");
    }
}

#[tokio::test]
async fn a_worker_sends_what_it_has_done_and_the_rest_at_its_shutdown() {
    let lab = Lab::start().await;
    let logs = CloudWatchLogs::start("workers").await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let variables = [
        NAMESPACE,
        ("METRICS_LOG_GROUP", "workers"),
        ("METRICS_INTERVAL_SECONDS", "1"),
        ("GPU_USD_PER_HOUR", "3600"),
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &logs.url),
    ];
    let mut worker = lab.worker(&runtime, &variables).await;
    logs.until("a report of a worker that is ready", |documents| {
        documents.iter().any(|document| document["WorkersReady"] == 1.0).then_some(())
    })
    .await;
    // Reports that CloudWatch does not take are sent later.
    logs.refuse(true);
    worker.logged("metrics cannot be sent to cloudwatch, they are kept for an hour").await;
    let content = |seed| json!({ "prompt": "x", "width": 64, "height": 64, "seed": seed, "batch_size": 2 });
    api.submit("sdruntime", "text-to-image", "first", content(1)).await;
    assert!(lab.completion("first").await.result);
    logs.refuse(false);
    logs.until("a report of the first task", |documents| {
        documents.iter().any(|document| document["TasksSucceeded"] == 1.0).then_some(())
    })
    .await;
    api.submit("sdruntime", "text-to-image", "second", content(2)).await;
    assert!(lab.completion("second").await.result);
    lab.emptied(&runtime.queue.url).await;
    worker.signal("TERM");
    assert!(worker.exited().await.success());

    let documents = logs.documents();
    let sum = |name: &str| -> f64 { documents.iter().flat_map(|document| values(&document[name])).sum() };
    assert_eq!(
        (sum("TasksReceived"), sum("TasksSucceeded"), sum("Images")),
        (2.0, 2.0, 4.0),
        "{documents:#?}"
    );
    let (time, cost, busy) = (sum("WorkerTime"), sum("Cost"), sum("GpuTime"));
    assert!((time - cost).abs() < 1e-6 && busy > 0.0 && busy < time, "{time} {cost} {busy}");
    for name in ["QueueAge", "RunTime", "StoreTime"] {
        assert_eq!(documents.iter().flat_map(|document| values(&document[name])).count(), 2, "{name}");
    }
    assert_eq!(documents.iter().flat_map(|document| values(&document["StartupTime"])).count(), 1);
    assert!(documents.iter().all(|document| document["runtime"] == "sdruntime"), "{documents:#?}");
}

#[tokio::test]
async fn a_log_group_that_never_answers_does_not_delay_the_shutdown() {
    let lab = Lab::start().await;
    let silent = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let variables = [
        NAMESPACE,
        ("METRICS_LOG_GROUP", "workers"),
        ("METRICS_INTERVAL_SECONDS", "1"),
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &url),
    ];
    let mut worker = lab.worker(&runtime, &variables).await;
    // A report is on its way, and gets no answer. Each of its tries lasts for a minute.
    let _connection = silent.accept().await.unwrap();
    let signalled = Instant::now();
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    assert!(signalled.elapsed() < Duration::from_secs(45), "{:?}", signalled.elapsed());
}

fn values(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().map(|value| value.as_f64().unwrap()).collect(),
        Value::Null => Vec::new(),
        value => vec![value.as_f64().unwrap()],
    }
}
