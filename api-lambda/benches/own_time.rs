//! The front door's own time per request: router, checks, message, answer and log line, without the SDK and the network.
//!
//! `cargo bench -p api-lambda --profile dist`

#![allow(clippy::print_stdout, reason = "a table on the terminal is what a benchmark is for")]

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use api_lambda::steps::publish::{Message, PublishError};
use api_lambda::{App, Config, Publisher, logs, router};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Map, Value, json};
use tower::ServiceExt;
use tracing::Level;

const WARM_UP: usize = 200;
const REQUESTS: usize = 3_000;

/// Takes every message at once.
struct Instantly;

impl Publisher for Instantly {
    async fn publish(&self, _: Message) -> Result<(), PublishError> {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // The lines are formatted as in a Lambda, and thrown away.
    tracing::subscriber::set_global_default(logs::subscriber(Level::INFO, io::sink))?;
    let config = Config::from_vars(|name| match name {
        "SNS_TOPIC_ARN" => Some("arn:aws:sns:us-east-1:000000000000:tasks".to_owned()),
        "S3_OUTPUT_BUCKET" => Some("outbucket".to_owned()),
        "RUNTIMES" => {
            Some(r#"[{"name": "sd", "type": "sdwebui"}, {"name": "flow", "type": "comfyui"}]"#.to_owned())
        }
        _ => None,
    })?;
    let door = router(App::new(config, Instantly));

    println!("{:<32} {:>8} {:>10} {:>10}", "request", "bytes", "p50 µs", "p99 µs");
    let prompt = |bytes: usize| "a harbour at night, ".repeat(bytes / 20);
    for (name, runtime, task_type, content) in [
        ("text-to-image, 1 KB", "sd", "text-to-image", json!({"prompt": prompt(900), "steps": 20})),
        ("text-to-image, 100 KB", "sd", "text-to-image", json!({"prompt": prompt(100_000), "steps": 20})),
        (
            "image-to-image, 100 KB image",
            "sd",
            "image-to-image",
            json!({"init_images": ["QUJD".repeat(25_000)]}),
        ),
        ("pipeline, 100 KB of nodes", "flow", "pipeline", workflow(730)),
    ] {
        let metadata = json!({"id": "bench", "runtime": runtime, "tasktype": task_type, "prefix": "out"});
        let body = json!({"task": {"metadata": metadata, "content": content}}).to_string();
        let (p50, p99) = measure(&door, &body).await.context(name)?;
        println!("{name:<32} {:>8} {:>10.1} {:>10.1}", body.len(), micros(p50), micros(p99));
    }
    Ok(())
}

async fn measure(door: &Router, body: &str) -> anyhow::Result<(Duration, Duration)> {
    let mut times = Vec::with_capacity(REQUESTS);
    for n in 0..WARM_UP + REQUESTS {
        let request = Request::post("/prod/v1alpha2").body(Body::from(body.to_owned()))?;
        let started = Instant::now();
        let response = door.clone().oneshot(request).await?;
        if n >= WARM_UP {
            times.push(started.elapsed());
        }
        ensure!(response.status().is_success(), "answered {}", response.status());
    }
    times.sort_unstable();
    Ok((times[REQUESTS / 2], times[REQUESTS * 99 / 100]))
}

/// A chain of `nodes` nodes that ends in one that saves.
fn workflow(nodes: usize) -> Value {
    let mut workflow = Map::new();
    workflow
        .insert("0".to_owned(), json!({"class_type": "EmptyImage", "inputs": {"width": 512, "height": 512}}));
    for n in 1..nodes {
        let node = json!({
            "class_type": "ImageScale",
            "inputs": {"image": [(n - 1).to_string(), 0], "upscale_method": "nearest-exact", "width": 512, "height": 512},
        });
        workflow.insert(n.to_string(), node);
    }
    let last = json!({"class_type": "SaveImage", "inputs": {"images": [(nodes - 1).to_string(), 0]}});
    workflow.insert(nodes.to_string(), last);
    Value::Object(workflow)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
