//! Files that owners have uploaded: assets, which owners name by ids, and the objects in the bucket that have their bytes.
//!
//! An object is known by its owner and the hash of its bytes, so that the same bytes are stored once per owner. What one owner
//! has is never shown to another one, not even by the speed of an upload. Objects are not deleted with their items: a
//! lifecycle rule of the bucket deletes them, after the items have expired.

use std::time::SystemTime;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

use crate::call;
use crate::item::{Item, KEY, asset_key, asset_name_key, blob_key, number, text, upload_key};
use crate::time::epoch_seconds;
use crate::{Owner, RecordError, Records};

/// An object in the bucket with the bytes of assets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The media type that its owner gave it.
    pub content_type: String,
    /// Until when it is used, in seconds since 1970.
    pub expires: u64,
}

/// A file that its owner can use by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// The id. It follows from owner, hash and name, so that the same file has one asset.
    pub id: String,
    /// The owner. The item has another name for it than tasks have, and for the time: assets are in no index.
    #[serde(rename = "asset_owner")]
    pub owner: Owner,
    /// The BLAKE3 of the bytes, as 64 lowercase hexadecimal digits.
    pub hash: String,
    /// The key of the object.
    pub key: String,
    /// The size in bytes.
    pub bytes: u64,
    /// The media type.
    pub content_type: String,
    /// The owner's name for the file.
    pub file_path: String,
    /// When it was created.
    #[serde(rename = "asset_created")]
    pub created: String,
    /// Until when it exists, in seconds since 1970.
    pub expires: u64,
}

/// Which asset a name stands for.
#[derive(Debug, Serialize, Deserialize)]
struct AssetName {
    /// The id of the asset.
    asset: String,
    /// Until when it exists, in seconds since 1970.
    expires: u64,
}

impl Records {
    /// The asset of that id, as of now; `None` if there is none, or if it has expired.
    ///
    /// # Errors
    /// If the call failed, or the item is no asset.
    pub async fn asset(&self, id: &str, now: SystemTime) -> Result<Option<Asset>, RecordError> {
        let asset: Option<Asset> = self.item(asset_key(id)).await?;
        Ok(asset.filter(|asset| asset.expires > epoch_seconds(now)))
    }

    /// Stores an asset, unless it exists for at least as long: then that one is returned. Whether it is new.
    ///
    /// # Errors
    /// If the call failed, or an existing item is no asset.
    pub async fn put_asset(&self, asset: Asset, now: SystemTime) -> Result<(Asset, bool), RecordError> {
        let old: Option<Asset> = match self.put_longer(asset_key(&asset.id), &asset, asset.expires).await? {
            Put::Stored(old) => old,
            Put::Exists(existing) => return Ok((existing, false)),
        };
        let is_new = old.is_none_or(|old| old.expires <= epoch_seconds(now));
        Ok((asset, is_new))
    }

    /// Lets an owner's name stand for an asset, whichever it stood for before.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn name_asset(&self, asset: &Asset) -> Result<(), RecordError> {
        let name = AssetName { asset: asset.id.clone(), expires: asset.expires };
        self.put(asset_name_key(&asset.owner, &asset.file_path), &name).await
    }

    /// The newest asset that an owner has of that name, as of now; `None` if there is none, or if it is deleted or expired.
    ///
    /// # Errors
    /// If the call failed, or the item is no asset.
    pub async fn asset_named(
        &self,
        owner: &Owner,
        file_path: &str,
        now: SystemTime,
    ) -> Result<Option<Asset>, RecordError> {
        let name: Option<AssetName> = self.item(asset_name_key(owner, file_path)).await?;
        let Some(AssetName { asset, .. }) = name else { return Ok(None) };
        Ok(self.asset(&asset, now).await?.filter(|asset| asset.owner == *owner))
    }

    /// Deletes an owner's asset. `false` if there is none.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn delete_asset(&self, id: &str, owner: &Owner, now: SystemTime) -> Result<bool, RecordError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(KEY, asset_key(id))
            .condition_expression("asset_owner = :owner AND expires > :now")
            .expression_attribute_values(":owner", text(owner.as_str()))
            .expression_attribute_values(":now", number(epoch_seconds(now)));
        Ok(call::unless_condition_failed("delete_item", delete.send()).await?.is_some())
    }

    /// The object with an owner's bytes of that hash; `None` if there is none, or if it is not used after `until`.
    ///
    /// # Errors
    /// If the call failed, or the item is no object.
    pub async fn blob(
        &self,
        owner: &Owner,
        hash: &str,
        until: SystemTime,
    ) -> Result<Option<Blob>, RecordError> {
        let blob: Option<Blob> = self.item(blob_key(owner, hash)).await?;
        Ok(blob.filter(|blob| blob.expires > epoch_seconds(until)))
    }

    /// Stores that an object has an owner's bytes of that hash, unless another one has them for at least as long: then that
    /// one is returned.
    ///
    /// # Errors
    /// If the call failed, or an existing item is no object.
    pub async fn put_blob(&self, owner: &Owner, hash: &str, blob: Blob) -> Result<Blob, RecordError> {
        match self.put_longer(blob_key(owner, hash), &blob, blob.expires).await? {
            Put::Stored(_) => Ok(blob),
            Put::Exists(existing) => Ok(existing),
        }
    }

    /// The object that an owner is about to upload itself, with bytes of that hash.
    ///
    /// # Errors
    /// If the call failed, or the item is no object.
    pub async fn upload(&self, owner: &Owner, hash: &str) -> Result<Option<Blob>, RecordError> {
        self.item(upload_key(owner, hash)).await
    }

    /// Stores which object an owner is about to upload; the last one counts.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn put_upload(&self, owner: &Owner, hash: &str, blob: &Blob) -> Result<(), RecordError> {
        self.put(upload_key(owner, hash), blob).await
    }

    async fn put(&self, key: AttributeValue, value: &impl Serialize) -> Result<(), RecordError> {
        let item = with_key(key, value)?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        call::result("put_item", put.send()).await.map(drop)
    }

    async fn item<T: DeserializeOwned>(&self, key: AttributeValue) -> Result<Option<T>, RecordError> {
        let get = self.client.get_item().table_name(&self.table).key(KEY, key).consistent_read(true);
        let found = call::result("get_item", get.send()).await?;
        found.item.map(|item| from_item(item).map_err(|_| RecordError::unreadable("get_item"))).transpose()
    }

    /// Stores an item unless one with that key expires later, or at the same time.
    async fn put_longer<T: Serialize + DeserializeOwned>(
        &self,
        key: AttributeValue,
        value: &T,
        expires: u64,
    ) -> Result<Put<T>, RecordError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(with_key(key, value)?))
            .condition_expression("attribute_not_exists(#pk) OR expires < :expires")
            .expression_attribute_names("#pk", KEY)
            .expression_attribute_values(":expires", number(expires))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let read = |item: Item| from_item(item).map_err(|_| RecordError::unreadable("put_item"));
        match call::make("put_item", put.send()).await {
            Ok(put) => {
                let old = put.attributes.filter(|item| !item.is_empty());
                Ok(Put::Stored(old.map(read).transpose()?))
            }
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let item = failed.item().cloned().ok_or_else(|| RecordError::unreadable("put_item"))?;
                    Ok(Put::Exists(read(item)?))
                }
                _ => Err(RecordError::new("put_item", &error)),
            },
        }
    }
}

/// The result of storing an item.
enum Put<T> {
    /// It is stored; before, there was that one.
    Stored(Option<T>),
    /// That one exists for longer.
    Exists(T),
}

fn with_key(key: AttributeValue, value: &impl Serialize) -> Result<Item, RecordError> {
    let mut item: Item = to_item(value).map_err(|_| RecordError::unreadable("put_item"))?;
    item.insert(KEY.to_owned(), key);
    Ok(item)
}
