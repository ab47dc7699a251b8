//! Fetching the files of a run from ComfyUI, several at a time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared_schema::ErrorCode;
use tokio::time::sleep;

use super::budget::Budget;
use super::client::{CallError, Client};
use super::outputs::{FileRef, Source};
use crate::error::TaskError;
use crate::runtimes::OutputFile;

/// How many files are fetched at a time. They come over loopback, and ComfyUI reads them from a disk.
const AT_A_TIME: usize = 4;
/// The GPU's work is done, so a call that may have failed by chance is tried again.
const TRIES: u32 = 3;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The files, in their order. What is fetched is taken from the budget.
pub(super) async fn fetch(
    client: &Client,
    sources: Vec<Source>,
    budget: &Budget,
) -> Result<Vec<OutputFile>, TaskError> {
    let files: Vec<_> = sources.into_iter().map(|source| one(client, source, budget)).collect();
    stream::iter(files).buffered(AT_A_TIME).try_collect().await
}

async fn one(client: &Client, source: Source, budget: &Budget) -> Result<OutputFile, TaskError> {
    match source {
        Source::Received(bytes) => Ok(OutputFile { bytes, name: None }),
        Source::Stored(file) => {
            Ok(OutputFile { bytes: stored(client, &file, budget).await?, name: Some(file.filename) })
        }
    }
}

async fn stored(client: &Client, file: &FileRef, budget: &Budget) -> Result<Bytes, TaskError> {
    let mut tries = 1;
    loop {
        match client.view(file, budget).await {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) => {
                // A file that was deleted after a node's run lives on in the cache, which names it again and again.
                // Without the cache, the next attempt runs the node anew; so this is worth a retry, not `no_output`.
                client.free_memory().await;
                let message = "the runtime named a result that it does not have any more";
                return Err(TaskError::new(ErrorCode::RuntimeBadAnswer, message));
            }
            Err(error) if may_pass(&error) && tries < TRIES => sleep(TRY_AGAIN_AFTER).await,
            Err(error) => return Err(error.into()),
        }
        tries += 1;
    }
}

fn may_pass(error: &CallError) -> bool {
    match error {
        CallError::Unreachable | CallError::Broken => true,
        CallError::Status(status) => status.is_server_error(),
        _ => false,
    }
}
