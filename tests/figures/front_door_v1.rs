//! The front door's own time for a task of `v1`, which is also recorded by two calls to DynamoDB. The time within the SDK is measured and
//! subtracted for each request, as that of the publication is left out of the other figures.

use std::io;

use anyhow::{Result, ensure};
use api_lambda::{App, Config, TaskStore, logs, router};
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use tracing::Level;

use crate::Effort;
use crate::bodies;
use crate::front_door_own_time::{Instantly, requests, variable};
use crate::sample::{Sample, micros};
use crate::sdk_time::{self, SdkTime};
use crate::table::{Row, Table};

const PATH: &str = "/prod/v1/tasks";

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
    let api = router(App::new(config, Instantly).with_store(store));

    let _logging = tracing::subscriber::set_default(SdkTime::beside(logs::subscriber(Level::INFO, io::sink)));
    let body = bodies::v1_text_to_image().to_string();
    let (own, whole) = times(&api, &body, effort.requests).await?;
    let size = body.len() as f64 / 1e3;
    table.push(
        Row::new(format!("own time p50, v1 with its record, {size:.1} KB"), micros(own.median()), "µs")
            .aside(format!("p99 {:.1}; {:.1} with the SDK", micros(own.p99()), micros(whole.median())))
            .aim(100.0),
    );
    Ok(())
}

/// The times of so many requests after a warm-up, without and with the time within the SDK.
async fn times(api: &Router, body: &str, n: usize) -> Result<(Sample, Sample)> {
    requests(api, PATH, body, n / 10).await?;
    sdk_time::take();
    let (mut own, mut whole) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for _ in 0..n {
        let time = requests(api, PATH, body, 1).await?.median();
        own.push(time.saturating_sub(sdk_time::take()));
        whole.push(time);
    }
    ensure!(own != whole, "the calls of DynamoDB have no spans any more");
    Ok((Sample::new(own)?, Sample::new(whole)?))
}
