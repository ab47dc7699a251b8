//! The table of the tasks' records.

use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_dynamodb::client::Waiters as _;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification, TimeToLiveStatus,
};

use super::Clients;

/// The partition key of the table.
const KEY: &str = "pk";

/// The sort key of both indexes.
const SORT_KEY: &str = "created";

/// The indexes, each with its partition key.
const INDEXES: [(&str, &str); 2] = [("by_owner", "owner"), ("unfinished", "unfinished")];

/// The number with the time, in seconds since 1970, after which DynamoDB deletes an item.
const EXPIRES: &str = "expires";

/// How long a table may take to be usable; on AWS it takes seconds.
const CREATION_TIMEOUT: Duration = Duration::from_secs(60);

/// Creates the table unless it exists, and waits until it is usable.
pub(super) async fn create(clients: &Clients, name: &str) -> anyhow::Result<()> {
    let tables = &clients.dynamodb;
    let mut call = tables
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes()?))
        .key_schema(key(KEY, KeyType::Hash)?);
    for (index, partition_key) in INDEXES {
        call = call.global_secondary_indexes(keys_only(index, partition_key)?);
    }
    match call.send().await.map_err(|error| error.into_service_error()) {
        Err(error) if !error.is_resource_in_use_exception() => {
            return Err(error).with_context(|| format!("the table {name} cannot be created"));
        }
        _ => {}
    }
    let usable = tables.wait_until_table_exists().table_name(name).wait(CREATION_TIMEOUT).await;
    usable.with_context(|| format!("the table {name} is not usable"))?;
    expire_items(clients, name).await
}

/// Enables the deletion of expired items; enabling it a second time is an error.
async fn expire_items(clients: &Clients, name: &str) -> anyhow::Result<()> {
    let tables = &clients.dynamodb;
    let described = tables.describe_time_to_live().table_name(name).send().await;
    let described = described.with_context(|| format!("the time to live of {name} cannot be read"))?;
    let status = described.time_to_live_description.and_then(|described| described.time_to_live_status);
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let setting = TimeToLiveSpecification::builder().attribute_name(EXPIRES).enabled(true).build()?;
    let call = tables.update_time_to_live().table_name(name).time_to_live_specification(setting);
    call.send().await.with_context(|| format!("the time to live of {name} cannot be set"))?;
    Ok(())
}

/// The attributes that are keys; the others are not declared.
fn attributes() -> Result<Vec<AttributeDefinition>, BuildError> {
    let names = [KEY, SORT_KEY].into_iter().chain(INDEXES.map(|(_, partition_key)| partition_key));
    let text = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
    };
    names.map(text).collect()
}

fn keys_only(index: &str, partition_key: &str) -> Result<GlobalSecondaryIndex, BuildError> {
    GlobalSecondaryIndex::builder()
        .index_name(index)
        .key_schema(key(partition_key, KeyType::Hash)?)
        .key_schema(key(SORT_KEY, KeyType::Range)?)
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
}

fn key(attribute: &str, key_type: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder().attribute_name(attribute).key_type(key_type).build()
}
