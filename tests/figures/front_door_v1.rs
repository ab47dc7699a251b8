//! The front door's own time for a task of `v1`, which is also recorded: with the SDK's part of both calls to DynamoDB, but without
//! the network.

use std::io;

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
use tracing::Level;

use crate::Effort;
use crate::bodies;
use crate::front_door_own_time::{Instantly, requests, variable};
use crate::sample::micros;
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
    let api = router(App::new(config, Instantly).with_store(store));

    let _logging = tracing::subscriber::set_default(logs::subscriber(Level::INFO, io::sink));
    let body = bodies::v1_text_to_image().to_string();
    let times = requests(&api, "/prod/v1/tasks", &body, effort.requests).await?;
    let size = body.len() as f64 / 1e3;
    table.push(
        Row::new(format!("own time p50, v1 with its record, {size:.1} KB"), micros(times.median()), "µs")
            .aside(format!("p99 {:.1}", micros(times.p99())))
            .aim(100.0),
    );
    Ok(())
}
