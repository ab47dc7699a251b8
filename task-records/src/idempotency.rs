//! Idempotency keys: a client that repeats a request with the same key gets one task.
//!
//! The item of a key has the id of its task, a digest of the request, and until when the request that claimed it may still be at work.
//! A request that finds a key whose holder is over that time and has not published the task continues with the same id.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use crate::call;
use crate::item::{Item, KEY, idempotency_key, number, text};
use crate::time::{epoch_millis, epoch_seconds};
use crate::{Owner, Record, RecordError, Records};

/// How long a key is remembered.
pub const LIFETIME: Duration = Duration::from_hours(24);

/// How long a request may take from claiming its key until the task is published. After that, a repetition continues for it.
pub const CLAIM: Duration = Duration::from_secs(10);

/// A key, and the request that came with it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The owner: each has keys of its own.
    pub owner: &'a Owner,
    /// The caller's key.
    pub key: &'a str,
    /// A digest of the request, as hexadecimal text.
    pub digest: &'a str,
}

/// The result of claiming a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The request is to be processed, with this id: a new one, or that of a request that stopped before publishing.
    Claimed(String),
    /// The task has been published.
    Published(Box<Record>),
    /// Another request with this key is being processed.
    InProgress,
    /// The key belongs to a different request; the id is that of its task.
    Reused(String),
}

/// The item of a key.
#[derive(Debug)]
struct Key {
    task: String,
    digest: String,
    claimed_until: u64,
}

impl Records {
    /// Claims a key for a request whose task gets `new_id` if the key is new.
    ///
    /// # Errors
    /// If a call failed.
    pub async fn claim(
        &self,
        request: Request<'_>,
        new_id: &str,
        now: SystemTime,
    ) -> Result<Claim, RecordError> {
        let Some(key) = self.put_key(request, new_id, now).await? else {
            return Ok(Claim::Claimed(new_id.to_owned()));
        };
        if key.digest != request.digest {
            return Ok(Claim::Reused(key.task));
        }
        if let Some(record) = self.get(&key.task).await?.filter(|record| record.published) {
            return Ok(Claim::Published(Box::new(record)));
        }
        if key.claimed_until > epoch_millis(now) || !self.take_over(request, &key, now).await? {
            return Ok(Claim::InProgress);
        }
        Ok(Claim::Claimed(key.task))
    }

    /// Claims a key that may be used once: `false` if it has been used, by the same request or by another one.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn claim_once(
        &self,
        request: Request<'_>,
        new_id: &str,
        now: SystemTime,
    ) -> Result<bool, RecordError> {
        Ok(self.put_key(request, new_id, now).await?.is_none())
    }

    /// Releases a key whose request was refused: the client may use it again.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn release(&self, request: Request<'_>, id: &str) -> Result<(), RecordError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(KEY, idempotency_key(request.owner, request.key))
            .condition_expression("task = :task")
            .expression_attribute_values(":task", text(id));
        call::unless_condition_failed("delete_item", delete.send()).await.map(drop)
    }

    /// Ends the claim of a request that could not publish its task: the next request continues at once.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn abandon(&self, request: Request<'_>, id: &str) -> Result<(), RecordError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, idempotency_key(request.owner, request.key))
            .update_expression("SET claimed_until = :over")
            .condition_expression("task = :task")
            .expression_attribute_values(":task", text(id))
            .expression_attribute_values(":over", number(0));
        call::unless_condition_failed("update_item", update.send()).await.map(drop)
    }

    /// Stores a new key, or returns the one that exists.
    async fn put_key(
        &self,
        request: Request<'_>,
        id: &str,
        now: SystemTime,
    ) -> Result<Option<Key>, RecordError> {
        let item = Item::from([
            (KEY.to_owned(), idempotency_key(request.owner, request.key)),
            ("task".to_owned(), text(id)),
            ("digest".to_owned(), text(request.digest)),
            ("claimed_until".to_owned(), number(epoch_millis(now + CLAIM))),
            ("expires".to_owned(), number(epoch_seconds(now + LIFETIME))),
        ]);
        // DynamoDB deletes expired items late (developer guide, "Using time to live").
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#pk) OR expires < :now")
            .expression_attribute_names("#pk", KEY)
            .expression_attribute_values(":now", number(epoch_seconds(now)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match call::make("put_item", put.send()).await {
            Ok(_) => return Ok(None),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let key = failed.item().and_then(Key::of);
                key.map(Some).ok_or_else(|| RecordError::unreadable("put_item"))
            }
            _ => Err(RecordError::new("put_item", &error)),
        }
    }

    /// Claims the key of a request that stopped. `false` if another one was faster.
    async fn take_over(&self, request: Request<'_>, key: &Key, now: SystemTime) -> Result<bool, RecordError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, idempotency_key(request.owner, request.key))
            .update_expression("SET claimed_until = :new")
            .condition_expression("claimed_until = :old")
            .expression_attribute_values(":new", number(epoch_millis(now + CLAIM)))
            .expression_attribute_values(":old", number(key.claimed_until));
        Ok(call::unless_condition_failed("update_item", update.send()).await?.is_some())
    }
}

impl Key {
    fn of(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        let until = item.get("claimed_until").map(AttributeValue::as_n)?.ok()?;
        Some(Self { task: text("task")?, digest: text("digest")?, claimed_until: until.parse().ok()? })
    }
}
