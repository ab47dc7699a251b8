use aws_sdk_dynamodb::types::{BillingMode, KeyType, ProjectionType, TableStatus, TimeToLiveStatus};
use local_stack::provision::{self, Clients};

use super::{key, table};
use crate::support::start;

#[tokio::test]
async fn the_stack_creates_the_table_with_its_indexes_and_time_to_live() {
    let table = table().await;
    assert_eq!(table.name, "t-tasks");
    let described = table.client.describe_table().table_name(&table.name).send().await.unwrap();
    let described = described.table.unwrap();
    assert_eq!(described.table_status, Some(TableStatus::Active));
    assert_eq!(described.billing_mode_summary.unwrap().billing_mode, Some(BillingMode::PayPerRequest));
    let keys = |schema: Vec<aws_sdk_dynamodb::types::KeySchemaElement>| {
        schema.into_iter().map(|key| (key.attribute_name, key.key_type)).collect::<Vec<_>>()
    };
    let hash = |name: &str| (name.to_owned(), KeyType::Hash);
    let created = ("created".to_owned(), KeyType::Range);
    assert_eq!(keys(described.key_schema.unwrap()), [hash("pk")]);
    let mut indexes: Vec<_> = described
        .global_secondary_indexes
        .unwrap()
        .into_iter()
        .map(|index| {
            let projection = index.projection.unwrap().projection_type.unwrap();
            assert_eq!(projection, ProjectionType::KeysOnly);
            (index.index_name.unwrap(), keys(index.key_schema.unwrap()))
        })
        .collect();
    indexes.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        indexes,
        [
            ("by_owner".to_owned(), vec![hash("owner"), created.clone()]),
            ("unfinished".to_owned(), vec![hash("unfinished"), created]),
        ]
    );
    let expiry = table.client.describe_time_to_live().table_name(&table.name).send().await.unwrap();
    let expiry = expiry.time_to_live_description.unwrap();
    assert_eq!(expiry.time_to_live_status, Some(TimeToLiveStatus::Enabled));
    assert_eq!(expiry.attribute_name.as_deref(), Some("expires"));
}

#[tokio::test]
async fn an_existing_table_stays_as_it_is() {
    let table = table().await;
    table.put(&[("pk", "a")]).await;
    let clients = Clients::new(&table.aws.endpoints.url());
    let shared = provision::shared(&clients, "t").await.unwrap();
    assert_eq!(shared.record_table, table.name);
    assert_eq!(table.get("a").await, Some(key("a")));
}

#[tokio::test]
async fn tables_are_listed_and_deleted() {
    let aws = start().await;
    let clients = Clients::new(&aws.endpoints.url());
    for prefix in ["one", "two"] {
        provision::shared(&clients, prefix).await.unwrap();
    }
    let list = async || clients.dynamodb.list_tables().send().await.unwrap().table_names.unwrap();
    assert_eq!(list().await, ["one-tasks", "two-tasks"]);
    clients.dynamodb.delete_table().table_name("one-tasks").send().await.unwrap();
    assert_eq!(list().await, ["two-tasks"]);
}
