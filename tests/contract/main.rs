//! What a deployment must set, grant and route, derived from the code itself, as JSON on standard output:
//!
//! ```sh
//! cargo run -p integration-tests --example contract
//! cargo run -p integration-tests --example contract -- --config infra/examples/full.yaml
//! ```
//!
//! Nothing is listed here a second time: variables are those that the programs look up, ports and paths those that they
//! use, and the calls those that they make while they do every kind of thing that they can be made to do. With a file,
//! it also has the variables of the front door and the workers of that deployment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a harness fails by panicking")]
#![allow(clippy::print_stdout, reason = "the document is what it is for")]

mod assets;
mod calls;

mod deployment;
#[cfg(test)]
mod documented;
mod programs;
mod records;
mod scenes;
mod table;
mod variables;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;
use deployment_config::Checked;
use integration_tests::aws;
use serde_json::json;
use shared_schema::RuntimeName;
use shared_schema::ids::RESERVED_SEGMENT;
use shared_schema::message::Route;

/// Prints what the code expects of a deployment, and does in it.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// The file of a deployment, such as `infra/config.yaml`: adds the variables of its programs.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    ensure!(aws::external().is_none(), "unset AWS_ENDPOINT_URL: only the embedded AWS APIs keep calls");
    let config =
        Arguments::parse().config.map(|file| Checked::load(&file)).transpose()?.map(|checked| checked.config);
    let mut contract = json!({
        "attributes": { "runtime": Route::RUNTIME, "legacy_model": Route::MODEL },
        "legacy_runtime": RuntimeName::LEGACY,
        "reserved_prefix": format!("{RESERVED_SEGMENT}/"),
        "front_door": programs::front_door(),
        "worker": programs::worker(),
        "dead_letter": programs::dead_letter(),
        "calls": scenes::calls().await,
        "record_table": table::described().await,
    });
    if let Some(config) = config {
        contract["registry"] = deployment::registry(&config)?;
        contract["worker_settings"] = deployment::worker_settings(&config);
    }
    println!("{}", serde_json::to_string_pretty(&contract)?);
    Ok(())
}
