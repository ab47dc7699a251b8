//! Items of the table: their keys, and records as items.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use sha2::{Digest, Sha256};

use crate::{Owner, Record, RecordError};

/// The name of the table's key.
pub(crate) const KEY: &str = "pk";

/// An item of the table.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The key of a task's record.
pub(crate) fn task_key(id: &str) -> AttributeValue {
    text(format!("task#{id}"))
}

/// The key of an idempotency key. The caller's text is hashed: it can be long, and may be confidential.
pub(crate) fn idempotency_key(owner: &Owner, key: &str) -> AttributeValue {
    text(format!("key#{}", digest(owner, key)))
}

/// The key of an asset.
pub(crate) fn asset_key(id: &str) -> AttributeValue {
    text(format!("asset#{id}"))
}

/// The key of an owner's newest asset of that name.
pub(crate) fn asset_name_key(owner: &Owner, file_path: &str) -> AttributeValue {
    text(format!("name#{}", digest(owner, file_path)))
}

/// The key of an object that has an owner's bytes of that hash.
pub(crate) fn blob_key(owner: &Owner, hash: &str) -> AttributeValue {
    text(format!("blob#{}", digest(owner, hash)))
}

/// The key of an object that an owner is about to upload, with bytes of that hash.
pub(crate) fn upload_key(owner: &Owner, hash: &str) -> AttributeValue {
    text(format!("upload#{}", digest(owner, hash)))
}

/// A digest of what belongs to an owner.
fn digest(owner: &Owner, what: &str) -> String {
    let digest = Sha256::new().chain_update(owner.as_str()).chain_update([0]).chain_update(what).finalize();
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(crate) fn from_record(record: &Record) -> Result<Item, RecordError> {
    let mut item: Item = to_item(record).map_err(|_| RecordError::unreadable("put_item"))?;
    item.insert(KEY.to_owned(), task_key(&record.id));
    Ok(item)
}

pub(crate) fn to_record(action: &'static str, item: Item) -> Result<Record, RecordError> {
    from_item(item).map_err(|_| RecordError::unreadable(action))
}
