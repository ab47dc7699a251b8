//! The front door's own time for a task of `v1`, which is also recorded by two calls to DynamoDB. The SDK's part of these calls is
//! measured by itself and subtracted, as that of the publication is left out of the other figures.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Result;
use api_lambda::{App, Config, TaskStore, logs, router};
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::{from_value, json};
use task_records::{Record, Records};
use tracing::Level;

use crate::Effort;
use crate::bodies;
use crate::front_door_own_time::{Instantly, requests, variable};
use crate::sample::{Sample, micros};
use crate::table::{Row, Table};

/// DynamoDB without a network: each call succeeds at once.
#[derive(Debug)]
struct Succeeds;

impl HttpConnector for Succeeds {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let response = 200.try_into().map(|status| HttpResponse::new(status, SdkBody::from("{}")));
        HttpConnectorFuture::ready(response.map_err(|error| ConnectorError::other(Box::new(error), None)))
    }
}

/// Own time at 1 KB.
pub(crate) async fn measure(effort: &Effort, table: &mut Table) -> Result<()> {
    let config = Config::from_vars(|name| match name {
        "RECORD_TABLE" => Some("records".to_owned()),
        _ => variable(name),
    })?;
    let sdk = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client_fn(|_, _| SharedHttpConnector::new(Succeeds)))
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "benchmark"))
        .load()
        .await;
    let store = TaskStore::new(&sdk, &config);
    let records = Records::new(&sdk, "records", Duration::from_secs(4));
    let sdk_part = micros(calls(&records, effort.requests).await?.median());
    let api = router(App::new(config, Instantly).with_store(store));

    let _logging = tracing::subscriber::set_default(logs::subscriber(Level::INFO, io::sink));
    let body = bodies::v1_text_to_image().to_string();
    let times = requests(&api, "/prod/v1/tasks", &body, effort.requests).await?;
    let (whole, size) = (micros(times.median()), body.len() as f64 / 1e3);
    table.push(
        Row::new(format!("own time p50, v1 with its record, {size:.1} KB"), whole - sdk_part, "µs")
            .aside(format!("{whole:.1} with the SDK"))
            .aim(100.0),
    );
    Ok(())
}

/// The times of the two calls of a submission.
async fn calls(records: &Records, n: usize) -> Result<Sample> {
    let record: Record = from_value(json!({
        "id": "0199c6f0-0000-7000-8000-000000000000", "owner": "0123456789", "created": "2026-11-29T00:00:00.000Z",
        "expires": 1_800_000_000, "api": "v1", "name": "\"a-name\"", "runtime": "sdruntime", "type": "text-to-image",
        "prefix": "output", "status": "queued",
    }))?;
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        let started = Instant::now();
        records.create(&record).await?;
        records.published(&record.id).await?;
        times.push(started.elapsed());
    }
    Sample::new(times)
}
