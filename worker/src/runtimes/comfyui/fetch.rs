//! Fetching the files of a run from ComfyUI, several at a time.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared_schema::ErrorCode;

use super::budget::TransferBudget;
use super::client::{CallError, Client, Viewed};
use super::items::{FileRef, Place};
use super::outputs::Source;
use super::retry::retried;
use crate::error::TaskError;
use crate::runtimes::OutputFile;

/// How many files are fetched at a time. They come over loopback, and ComfyUI reads them from a disk.
const AT_A_TIME: usize = 4;

/// What came of one result.
#[derive(Debug)]
pub(super) enum Fetched {
    File(OutputFile),
    /// The text names no file.
    NoFile,
    /// It lies outside of ComfyUI's folders, which it does not serve.
    Outside,
    /// It does not exist where the node reports it.
    Missing,
}

/// The files, each with its place. What is fetched is taken from the budget.
pub(super) async fn fetch(
    client: &Client,
    sources: Vec<(usize, Source)>,
    budget: &TransferBudget,
) -> Result<Vec<(usize, Fetched)>, TaskError> {
    let files: Vec<_> =
        sources.into_iter().map(|(place, source)| one(client, place, source, budget)).collect();
    stream::iter(files).buffered(AT_A_TIME).try_collect().await
}

async fn one(
    client: &Client,
    place: usize,
    source: Source,
    budget: &TransferBudget,
) -> Result<(usize, Fetched), TaskError> {
    let fetched = match source {
        Source::Received(bytes) => file(bytes, None),
        Source::At(Place::Stored(named)) => match retried(|| client.view(&named, budget)).await? {
            Viewed::File(bytes) => file(bytes, Some(named.filename)),
            Viewed::Outside => Fetched::Outside,
            Viewed::Missing => Fetched::Missing,
        },
        Source::At(Place::Named(candidates)) => first_of(client, candidates, budget).await?,
        Source::At(Place::Cached(id)) => match retried(|| client.cached_image(&id, budget)).await? {
            Viewed::File(bytes) => file(bytes, None),
            Viewed::Missing | Viewed::Outside => Fetched::Missing,
        },
    };
    Ok((place, fetched))
}

/// The first of these files that exists.
async fn first_of(
    client: &Client,
    candidates: Vec<FileRef>,
    budget: &TransferBudget,
) -> Result<Fetched, CallError> {
    for named in candidates {
        if let Viewed::File(bytes) = retried(|| client.view(&named, budget)).await? {
            return Ok(file(bytes, Some(named.filename)));
        }
    }
    Ok(Fetched::NoFile)
}

fn file(bytes: Bytes, name: Option<String>) -> Fetched {
    Fetched::File(OutputFile { bytes, name })
}

/// A file that was deleted after a node's run lives on in the cache, which names it again and again. Without the cache, the next
/// attempt runs the node again; so this is retried, other than a missing file of the run itself.
pub(super) async fn lost(client: &Client) -> TaskError {
    client.free_memory().await;
    let message = "the runtime named a result that it does not have any more";
    TaskError::new(ErrorCode::RuntimeBadAnswer, message)
}
