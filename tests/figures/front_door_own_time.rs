//! The front door's own time per request: router, checks, message, answer and log line, without the SDK and the network.

use std::io;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use api_lambda::steps::publish::{Message, PublishError};
use api_lambda::{App, Config, Publisher, logs, router};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use shared_schema::ClaimCheck;
use tower::ServiceExt;
use tracing::Level;

use crate::Effort;
use crate::bodies;
use crate::sample::{Sample, micros};
use crate::table::{Row, Table};

/// Accepts every message at once.
pub(crate) struct Instantly;

impl Publisher for Instantly {
    async fn store(&self, _: &ClaimCheck, _: String) -> Result<(), PublishError> {
        Ok(())
    }

    async fn publish(&self, _: Message) -> Result<(), PublishError> {
        Ok(())
    }
}

/// The variables of the front door.
pub(crate) fn variable(name: &str) -> Option<String> {
    let registry = r#"[{"name": "sdruntime", "type": "sdwebui"}, {"name": "comfyui", "type": "comfyui"}]"#;
    let value = match name {
        "SNS_TOPIC_ARN" => "arn:aws:sns:us-east-1:000000000000:tasks",
        "S3_OUTPUT_BUCKET" => "output",
        "RUNTIMES" => registry,
        _ => return None,
    };
    Some(value.to_owned())
}

/// Own time at 1 KB and 100 KB.
pub(crate) async fn measure(effort: &Effort, table: &mut Table) -> Result<()> {
    let config = Config::from_vars(variable)?;
    let api = router(App::new(config, Instantly));

    // The lines are formatted as in a Lambda, and thrown away.
    let _logging = tracing::subscriber::set_default(logs::subscriber(Level::INFO, io::sink));
    for (what, body, aim_micros, predecessor) in [
        ("text-to-image", bodies::text_to_image(), 100.0, "11 µs (p99 23)"),
        ("pipeline of 8 nodes", bodies::pipeline(8), 100.0, ""),
        ("image-to-image", bodies::image_to_image(75_000), 2_000.0, ""),
        ("pipeline of 700 nodes", bodies::pipeline(700), 2_000.0, ""),
    ] {
        let body = body.to_string();
        let times = requests(&api, "/prod/v1alpha2", &body, effort.requests).await.context(what)?;
        let size = body.len() as f64 / 1e3;
        table.push(
            Row::new(format!("own time p50, {what}, {size:.1} KB"), micros(times.median()), "µs")
                .aside(format!("p99 {:.1}", micros(times.p99())))
                .aim(aim_micros)
                .predecessor(predecessor),
        );
    }
    Ok(())
}

/// The times of so many requests to that path, after a warm-up.
pub(crate) async fn requests(api: &Router, path: &str, body: &str, n: usize) -> Result<Sample> {
    let warm_up = n / 10;
    let mut times = Vec::with_capacity(n);
    for round in 0..warm_up + n {
        let request = Request::post(path).body(Body::from(body.to_owned()))?;
        let started = Instant::now();
        let response = api.clone().oneshot(request).await?;
        if round >= warm_up {
            times.push(started.elapsed());
        }
        ensure!(response.status().is_success(), "answered {}", response.status());
    }
    Sample::new(times)
}
