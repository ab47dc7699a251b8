//! The assets that a workflow refers to: the message gets the keys of their objects, and the workflow stays as it is.

use std::collections::BTreeSet;
use std::time::SystemTime;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Map, Value};
use shared_schema::content::asset::{self, AssetReference};
use shared_schema::runtimes::default_for;
use shared_schema::{Task, TaskType};
use task_records::Owner;

use super::{Found, find};
use crate::error::ApiError;
use crate::store::TaskStore;

/// How many assets of a workflow are looked up at once.
const AT_ONCE: usize = 8;
/// The most assets and names of files in a workflow: each is a read of the table, at least.
const MAX_ASSETS: usize = 100;

/// An id or a name, and the key of the object, if there is one.
type FoundKey = (String, Option<String>);

/// Adds the keys of the assets that a task refers to. Each must exist and be the caller's. A name in a loader that the caller
/// has given to an asset refers to that; other names are files of the runtime.
pub(crate) async fn resolve(store: &TaskStore, owner: &Owner, task: &mut Task) -> Result<(), ApiError> {
    let Task { metadata, content, .. } = task;
    if metadata.tasktype != TaskType::Pipeline {
        return Ok(());
    }
    let names: BTreeSet<String> =
        default_for(metadata.tasktype).named_media(content).into_iter().map(|field| field.value).collect();
    let ids = ids(content)?;
    if ids.len() + names.len() > MAX_ASSETS {
        let message = format!("must refer to at most {MAX_ASSETS} assets and files");
        return Err(ApiError::InvalidParameter { name: "the workflow", message });
    }
    let named = keys(names, |name| async move {
        let asset = store.records.asset_named(owner, &name, SystemTime::now()).await?;
        Ok((name, asset.map(|asset| asset.key)))
    });
    let referred = keys(ids, |id| async move {
        let key = key(store, owner, &id).await?;
        Ok((id, key))
    });
    let (named, referred) = tokio::try_join!(named, referred)?;
    let missing: Vec<String> =
        referred.iter().filter(|(_, key)| key.is_none()).map(|(id, _)| id.clone()).collect();
    if !missing.is_empty() {
        return Err(ApiError::MissingAsset(missing));
    }
    metadata.assets = named.into_iter().chain(referred).filter_map(|(id, key)| Some((id, key?))).collect();
    Ok(())
}

/// The ids of all references.
fn ids(content: &Map<String, Value>) -> Result<BTreeSet<String>, ApiError> {
    let id = |AssetReference { pointer, id }| {
        id.ok_or_else(|| ApiError::MissingAsset(vec![format!("a reference without an id at {pointer}")]))
    };
    asset::references(content).into_iter().map(id).collect()
}

/// What is found of each, several at once.
async fn keys<F>(of: BTreeSet<String>, find: impl Fn(String) -> F) -> Result<Vec<FoundKey>, ApiError>
where
    F: Future<Output = Result<FoundKey, ApiError>>,
{
    let reads: Vec<_> = of.into_iter().map(find).collect();
    stream::iter(reads).buffered(AT_ONCE).try_collect().await
}

/// The key of an asset's object. A text that a node showed has none.
async fn key(store: &TaskStore, owner: &Owner, id: &str) -> Result<Option<String>, ApiError> {
    Ok(match find(store, owner, id).await? {
        Some(Found::Uploaded(asset)) => Some(asset.key),
        Some(Found::Result(_, result)) => result.key(store).map(str::to_owned),
        None => None,
    })
}
