//! Inputs by `s3://`: from the buckets that the deployment lists, with the worker's own role.

use bytes::Bytes;
use shared_schema::keys::{self, MAX_KEY_BYTES};

use super::budget::InputBudget;
use super::cache::{Cache, Key, Version};
use super::coding::{Coding, Incoming};
use super::errors::{not_found, refused, unavailable};
use crate::cloud::store::{Object, Opened};
use crate::cloud::{CloudError, Store};
use crate::error::TaskError;

/// Reads objects for tasks.
#[derive(Debug)]
pub(super) struct Buckets {
    store: Store,
    listed: Vec<String>,
}

impl Buckets {
    pub(super) fn new(store: Store, listed: Vec<String>) -> Self {
        Self { store, listed }
    }

    /// The bytes of an object that a task may read.
    pub(super) async fn get(
        &self,
        bucket: &str,
        key: &str,
        budget: &InputBudget,
        cache: &Cache,
    ) -> Result<Bytes, TaskError> {
        let cache_key = Key::Object { bucket: bucket.to_owned(), key: key.to_owned() };
        let known = cache.get(&cache_key);
        let etag = known.as_ref().map(|known| known.etag.as_str());
        let opened = self.store.open(bucket, key, etag).await.map_err(|error| not_read(&error))?;
        match (opened, known) {
            (Opened::Object(object), _) => {
                let etag = object.etag.clone();
                let bytes = read(object, budget).await?;
                if let Some(etag) = etag {
                    cache.keep(cache_key, Version { etag, bytes: bytes.clone() });
                }
                Ok(bytes)
            }
            (Opened::Unchanged, Some(known)) => {
                budget.take(known.bytes.len() as u64)?;
                Ok(known.bytes)
            }
            (Opened::Unchanged, None) => Err(unavailable("the object could not be read")),
        }
    }

    /// S3 takes keys as they are, so `%5Fdarkroom` is no other spelling of the reserved prefix; what stores that are
    /// like S3 make of `.` and `..` is unknown.
    pub(super) fn judge(&self, bucket: &str, key: &str, is_asset: bool) -> Result<(), TaskError> {
        // What callers upload for their tasks, under unguessable names, and results of the caller's own tasks.
        let is_results = bucket == self.store.bucket();
        if is_results && (keys::is_upload(key) || (is_asset && !keys::is_reserved(key))) {
            return Ok(());
        }
        if !self.listed.iter().any(|listed| listed == bucket) {
            return Err(refused("its bucket is not one that inputs may come from"));
        }
        if keys::is_reserved(key) {
            return Err(refused("its key is reserved"));
        }
        let climbs = key.split('/').any(|segment| segment == "." || segment == "..");
        if climbs || key.len() > MAX_KEY_BYTES || key.contains(char::is_control) {
            return Err(refused("its key is none that S3 takes"));
        }
        Ok(())
    }
}

async fn read(mut object: Object, budget: &InputBudget) -> Result<Bytes, TaskError> {
    let coding = Coding::named(object.encoding.as_deref().into_iter())?;
    let mut body = Incoming::new(budget, object.length, coding)?;
    while let Some(piece) = object.chunk().await.map_err(|error| not_read(&error))? {
        body.push(&piece)?;
    }
    body.finish()
}

fn not_read(error: &CloudError) -> TaskError {
    if error.is_not_found() {
        not_found("the object does not exist")
    } else if error.is_retryable {
        unavailable("the object could not be read")
    } else {
        not_found("the object may not be read; check the worker's role")
    }
}
