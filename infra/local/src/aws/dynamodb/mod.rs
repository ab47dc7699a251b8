//! DynamoDB: operations, expressions and storage are the `dynoxide` crate's, which keeps tables in SQLite.

mod error;
mod expiry;
mod operations;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use axum::http::StatusCode;
use axum::response::Response;
use dynoxide::{Database, DynoxideError};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::error::Error;
use super::faults::Fault;
use super::protocol::{self, Call};

/// The file of all tables. SQLite has its journal beside it, so they have a folder.
const FILE: &str = "dynamodb.sqlite";

/// All tables of the account.
pub(super) struct DynamoDb {
    database: Database,
    tasks: TaskTracker,
}

impl DynamoDb {
    /// Tables that are persisted in `folder`, if there is one; those that are there are restored. Expired items are deleted
    /// until `stop`.
    pub(super) fn new(folder: Option<&Path>, stop: CancellationToken) -> anyhow::Result<Self> {
        let database = match folder {
            Some(folder) => open(folder)
                .with_context(|| format!("the tables in {} cannot be restored", folder.display()))?,
            None => Database::memory().context("tables cannot be created in memory")?,
        };
        let tasks = TaskTracker::new();
        tasks.spawn(expiry::delete_expired_items(database.clone(), expiry::INTERVAL, stop));
        Ok(Self { database, tasks })
    }

    /// Runs one call of the API.
    pub(super) async fn call(&self, call: Call) -> Response {
        let (database, action) = (self.database.clone(), call.action.clone());
        // SQLite waits for the disk.
        let run = tokio::task::spawn_blocking(move || operations::run(&database, &call));
        match run.await.unwrap_or_else(|error| Err(internal(error.to_string()))) {
            Ok(output) => respond(StatusCode::OK, &output),
            Err(error) => {
                tracing::debug!(action, %error, "dynamodb call refused");
                failure(&error)
            }
        }
    }

    /// The response of a fault.
    pub(super) fn failure(fault: Fault) -> Response {
        failure(&match fault {
            Fault::Deny => {
                DynoxideError::AccessDeniedException("The role does not allow this.".to_owned()).into()
            }
            Fault::Conflict => Error::Conflict,
            _ => internal("The test injected this failure.".to_owned()),
        })
    }

    /// Waits for the deletion of expired items in progress, after the stop signal.
    pub(super) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn open(folder: &Path) -> anyhow::Result<Database> {
    fs::create_dir_all(folder)?;
    let file = folder.join(FILE);
    Ok(Database::new(file.to_str().context("the path is not UTF-8")?)?)
}

fn internal(message: String) -> Error {
    DynoxideError::InternalServerError(message).into()
}

fn failure(error: &Error) -> Response {
    respond(error.status(), &error.body())
}

fn respond(status: StatusCode, body: &Value) -> Response {
    protocol::json(status, body, &uuid::Uuid::new_v4().to_string())
}
