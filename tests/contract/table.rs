//! The table of records, in the terms of CloudFormation's `AWS::DynamoDB::Table`.

use aws_sdk_dynamodb::types::{KeySchemaElement, TimeToLiveStatus};
use integration_tests::lab::Lab;
use serde_json::{Value, json};

/// The table that the local stack creates, as its DynamoDB describes it. Lists are in the order of their names.
pub(crate) async fn described() -> Value {
    let lab = Lab::start().await;
    let (tables, name) = (&lab.clients().dynamodb, &lab.shared.record_table);
    let table = tables.describe_table().table_name(name).send().await.unwrap().table.unwrap();
    let expiry = tables.describe_time_to_live().table_name(name).send().await.unwrap();
    let expiry = expiry.time_to_live_description.unwrap();
    let expires =
        matches!(expiry.time_to_live_status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling));

    let mut attributes = table.attribute_definitions.unwrap();
    attributes.sort_by(|one, other| one.attribute_name.cmp(&other.attribute_name));
    let attributes = attributes.iter().map(|attribute| {
        json!({ "AttributeName": attribute.attribute_name, "AttributeType": attribute.attribute_type.as_str() })
    });
    let mut indexes = table.global_secondary_indexes.unwrap();
    indexes.sort_by(|one, other| one.index_name.cmp(&other.index_name));
    let indexes = indexes.iter().map(|index| {
        let projection = index.projection.as_ref().unwrap().projection_type.as_ref().unwrap();
        json!({
            "IndexName": index.index_name,
            "KeySchema": keys(index.key_schema()),
            "Projection": { "ProjectionType": projection.as_str() },
        })
    });
    json!({
        "AttributeDefinitions": attributes.collect::<Vec<_>>(),
        "BillingMode": table.billing_mode_summary.unwrap().billing_mode.unwrap().as_str(),
        "GlobalSecondaryIndexes": indexes.collect::<Vec<_>>(),
        "KeySchema": keys(table.key_schema.as_deref().unwrap()),
        "TimeToLiveSpecification": { "AttributeName": expiry.attribute_name, "Enabled": expires },
    })
}

fn keys(schema: &[KeySchemaElement]) -> Value {
    let keys = schema
        .iter()
        .map(|key| json!({ "AttributeName": key.attribute_name, "KeyType": key.key_type.as_str() }));
    keys.collect()
}
