//! The assets that a workflow refers to: the message gets the keys of their objects, and the workflow stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use shared_schema::content::asset;
use shared_schema::{Task, TaskType};
use task_records::Owner;

use super::{Found, find};
use crate::error::ApiError;
use crate::store::TaskStore;

/// How many assets of a workflow are looked up at once.
const AT_ONCE: usize = 8;
/// The most assets of a workflow: each is a read of the table, at least.
const MAX_ASSETS: usize = 100;

/// Adds the keys of the assets that a task refers to. Each must exist and be the caller's.
pub(crate) async fn resolve(store: &TaskStore, owner: &Owner, task: &mut Task) -> Result<(), ApiError> {
    if task.metadata.tasktype != TaskType::Pipeline {
        return Ok(());
    }
    let references = asset::references(&task.content);
    if references.is_empty() {
        return Ok(());
    }
    let without_id = references.iter().find(|reference| reference.id.is_none());
    if let Some(reference) = without_id {
        return Err(ApiError::MissingAsset(vec![format!(
            "a reference without an id at {}",
            reference.pointer
        )]));
    }
    let ids: BTreeSet<String> = references.into_iter().filter_map(|reference| reference.id).collect();
    if ids.len() > MAX_ASSETS {
        let message = format!("must refer to at most {MAX_ASSETS} assets");
        return Err(ApiError::InvalidParameter { name: "the workflow", message });
    }
    let reads: Vec<_> = ids
        .into_iter()
        .map(|id| async move {
            let key = key(store, owner, &id).await?;
            Ok::<_, ApiError>((id, key))
        })
        .collect();
    let keys: Vec<(String, Option<String>)> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let (found, missing): (Vec<_>, Vec<_>) = keys.into_iter().partition(|(_, key)| key.is_some());
    if !missing.is_empty() {
        return Err(ApiError::MissingAsset(missing.into_iter().map(|(id, _)| id).collect()));
    }
    task.metadata.assets =
        found.into_iter().filter_map(|(id, key)| Some((id, key?))).collect::<BTreeMap<_, _>>();
    Ok(())
}

/// The key of an asset's object. A text that a node showed has none.
async fn key(store: &TaskStore, owner: &Owner, id: &str) -> Result<Option<String>, ApiError> {
    Ok(match find(store, owner, id).await? {
        Some(Found::Uploaded(asset)) => Some(asset.key),
        Some(Found::Result(_, result)) => result.key(store).map(str::to_owned),
        None => None,
    })
}
