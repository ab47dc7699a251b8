//! Fetches what the fields of a task name, within bounds of address, size, time, type and pixels.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use shared_schema::content::MediaField;
use shared_schema::image_source::{ImageSource, decode_base64};

use super::Input;
use super::bucket::Buckets;
use super::budget::InputBudget;
use super::cache::Cache;
use super::errors::{refused, unavailable};
use super::guard::Guard;
use super::media;
use super::resolve::{Resolver, SystemResolver};
use super::web::Web;
use crate::cloud::Store;
use crate::config::Config;
use crate::error::TaskError;
use crate::spans;

/// How many inputs of one task are fetched at once.
const FETCHES: usize = 4;

/// Fetches inputs: the one way by which a caller's address makes the worker connect anywhere.
#[derive(Debug, Clone)]
pub struct Fetcher(Arc<Sources>);

/// What all inputs of one task share.
#[derive(Debug)]
struct TaskInputs<'a> {
    budget: InputBudget,
    /// Keys in the bucket for results, which the front door has checked, by the ids of assets.
    assets: &'a BTreeMap<String, String>,
}

#[derive(Debug)]
struct Sources {
    web: Web,
    buckets: Buckets,
    cache: Cache,
    timeout: Duration,
    max_bytes: u64,
    max_pixels: u64,
}

impl Fetcher {
    /// A fetcher within the bounds of the configuration, which asks the system for the addresses of names.
    pub fn new(config: &Config, store: Store) -> Self {
        Self::with_resolver(config, store, Arc::new(SystemResolver))
    }

    /// The same, which asks `resolver` instead.
    pub fn with_resolver(config: &Config, store: Store, resolver: Arc<dyn Resolver>) -> Self {
        Self(Arc::new(Sources {
            web: Web::new(Guard::new(config.input_allow_hosts.clone()), resolver),
            buckets: Buckets::new(store, config.input_s3_buckets.clone()),
            cache: Cache::new(config.input_cache_bytes),
            timeout: Duration::from_secs(config.input_timeout_seconds),
            max_bytes: config.max_task_bytes,
            max_pixels: config.input_max_pixels,
        }))
    }

    /// Fetches the inputs of all these fields, several at once, and an address that is in several fields once.
    /// Together they have at most `MAX_TASK_BYTES`, also while they arrive. The error names the field.
    ///
    /// The values of `assets` are keys in the bucket for results that the front door has checked: they are read whatever
    /// buckets are listed.
    pub async fn fetch_all(
        &self,
        fields: &[MediaField],
        assets: &BTreeMap<String, String>,
    ) -> Result<Vec<Input>, TaskError> {
        let task = TaskInputs { budget: InputBudget::new(self.0.max_bytes), assets };
        let mut distinct = Vec::new();
        let mut place_of = HashMap::new();
        for field in fields {
            place_of.entry((&field.value, field.media)).or_insert_with(|| {
                distinct.push(field);
                distinct.len() - 1
            });
        }
        let fetches: Vec<_> = distinct.iter().map(|field| self.0.fetch_in_span(field, &task)).collect();
        let fetched: Vec<Input> = stream::iter(fetches).buffered(FETCHES).try_collect().await?;

        let input_of = |field: &MediaField| {
            let place = place_of[&(&field.value, field.media)];
            let input = fetched[place].clone();
            if !std::ptr::eq(field, distinct[place]) {
                // Fetched once, but the runtime gets it once more.
                task.budget.take(input.bytes.len() as u64).map_err(|spent| at_field(spent.into(), field))?;
            }
            Ok(Input { pointer: field.pointer.clone(), ..input })
        };
        fields.iter().map(input_of).collect()
    }
}

impl Sources {
    async fn fetch_in_span(&self, field: &MediaField, task: &TaskInputs<'_>) -> Result<Input, TaskError> {
        let span = spans::input(&field.pointer, &field.value);
        let fetched = self.fetch(field, task).await;
        match &fetched {
            Ok(input) => span.set("darkroom.bytes", input.bytes.len() as i64),
            Err(error) => span.failed(error.code.as_str()),
        }
        fetched
    }

    async fn fetch(&self, field: &MediaField, task: &TaskInputs<'_>) -> Result<Input, TaskError> {
        tokio::time::timeout(self.timeout, self.bytes_of(&field.value, task))
            .await
            .unwrap_or_else(|_| Err(unavailable("it did not arrive in time")))
            .and_then(|bytes| media::check(field, bytes, self.max_pixels))
            .map_err(|error| at_field(error, field))
    }

    async fn bytes_of(&self, source: &str, task: &TaskInputs<'_>) -> Result<Bytes, TaskError> {
        let TaskInputs { budget, assets } = task;
        match ImageSource::parse(source).map_err(|why| refused(&why.to_string()))? {
            ImageSource::Url(url) => self.web.get(url, budget, &self.cache).await,
            ImageSource::S3 { bucket, key } => {
                let is_asset = assets.values().any(|asset| asset == key);
                self.buckets.judge(bucket, key, is_asset)?;
                self.buckets.get(bucket, key, budget, &self.cache).await
            }
            ImageSource::Base64(text) => decode(text, budget),
        }
    }
}

fn at_field(error: TaskError, field: &MediaField) -> TaskError {
    error.at_field(format!("/content{}", field.pointer))
}

fn decode(text: &str, budget: &InputBudget) -> Result<Bytes, TaskError> {
    let bytes = decode_base64(text).ok_or_else(|| refused("it is not base64"))?;
    budget.take(bytes.len() as u64)?;
    Ok(bytes.into())
}
