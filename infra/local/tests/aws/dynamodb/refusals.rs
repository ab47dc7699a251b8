use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use local_stack::aws::{Fault, Order, Service, Subject};
use serde_json::{Value, json};

use super::{item, key, table, text};
use crate::support::{Aws, http, start};

/// Posts a body as a client does, and gives the status and the answer.
async fn post(aws: &Aws, operation: &str, body: &Value) -> (u16, Value) {
    let request = http().post(aws.endpoints.url()).body(body.to_string());
    let request = request.header("x-amz-target", format!("DynamoDB_20120810.{operation}"));
    let response = request.header("content-type", "application/x-amz-json-1.0").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.0");
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn an_operation_outside_of_the_emulation_is_refused() {
    let table = table().await;
    let error = table.client.list_backups().send().await.unwrap_err();
    assert_eq!(error.code(), Some("UnknownOperationException"));
    let (status, answer) = post(&table.aws, "Dance", &json!({})).await;
    assert_eq!(status, 400);
    assert_eq!(answer["__type"], "com.amazon.coral.service#UnknownOperationException");
    assert!(answer["message"].as_str().unwrap().contains("Dance"), "{answer}");
}

#[tokio::test]
async fn parameters_that_are_wrong_are_refused_with_the_errors_of_dynamodb() {
    let table = table().await;
    let name = &table.name;
    for (operation, body, code) in [
        (
            "GetItem",
            json!({ "TableName": "none", "Key": { "pk": { "S": "a" } } }),
            "ResourceNotFoundException",
        ),
        ("GetItem", json!({ "TableName": name, "Key": { "other": { "S": "a" } } }), "ValidationException"),
        ("GetItem", json!({ "TableName": 5, "Key": {} }), "SerializationException"),
        (
            "PutItem",
            json!({ "TableName": name, "Item": { "pk": { "S": "a" }, "n": { "N": "x" } } }),
            "ValidationException",
        ),
        (
            "PutItem",
            json!({ "TableName": name, "Item": { "pk": { "S": "a" }, "s": { "SS": [] } } }),
            "ValidationException",
        ),
        ("PutItem", json!({ "TableName": name, "Item": { "pk": { "S": "" } } }), "ValidationException"),
        (
            "Query",
            json!({ "TableName": name, "KeyConditionExpression": "pk = :missing" }),
            "ValidationException",
        ),
        ("TransactWriteItems", json!({ "TransactItems": [] }), "ValidationException"),
        ("TransactWriteItems", json!({ "TransactItems": [{ "Put": 1 }, 2] }), "SerializationException"),
    ] {
        let (status, answer) = post(&table.aws, operation, &body).await;
        let kind = answer["__type"].as_str().unwrap();
        assert_eq!((status, kind.rsplit('#').next().unwrap()), (400, code), "{body} {answer}");
        let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap();
        assert!(!message.contains("VALIDATION") && !message.contains("SERIALIZATION"), "{answer}");
    }
}

#[tokio::test]
async fn a_role_allows_its_operations_and_nothing_else() {
    let table = table().await;
    table.put(&[("pk", "a")]).await;
    table.aws.endpoints.allow_only("test", &["dynamodb:GetItem"]);
    assert_eq!(table.get("a").await, Some(key("a")));
    let put = table.client.put_item().table_name(&table.name).set_item(Some(key("b")));
    let error = put.send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    assert_eq!(error.code(), Some("AccessDeniedException"));
    assert_eq!(table.get("b").await, None);
}

#[tokio::test]
async fn faults_are_injected_before_and_after_a_write() {
    let table = table().await;
    let faults = table.aws.endpoints.faults();
    let add = || {
        let update = table.client.update_item().table_name(&table.name).set_key(Some(key("a")));
        update
            .update_expression("ADD n :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .send()
    };
    for (fault, added) in [
        (Fault::FailBefore, "1"),
        (Fault::DropBefore, "2"),
        (Fault::FailAfter, "4"),
        (Fault::DropAfter, "6"),
        (Fault::DelayBefore(Duration::from_millis(1)), "7"),
    ] {
        faults.order(Order::new(Service::DynamoDb, "UpdateItem", fault).about(&table.name));
        add().await.unwrap();
        assert_eq!(faults.left(Service::DynamoDb, "UpdateItem"), 0);
        assert_eq!(table.get("a").await.unwrap()["n"], AttributeValue::N(added.to_owned()), "{fault:?}");
    }
    faults.strike(Service::DynamoDb, "UpdateItem", Fault::FailBefore, 3);
    let error = add().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 500);
    assert!(error.into_service_error().is_internal_server_error());
}

#[tokio::test]
async fn a_write_can_fail_as_if_a_transaction_changed_the_item() {
    let table = table().await;
    let faults = table.aws.endpoints.faults();
    faults.strike(Service::DynamoDb, "PutItem", Fault::Conflict, 3);
    let put = table.client.put_item().table_name(&table.name).set_item(Some(key("a")));
    let error = put.send().await.unwrap_err().into_service_error();
    assert!(error.is_transaction_conflict_exception(), "{error:?}");
    faults.clear();
    assert_eq!(table.get("a").await, None);
}

#[tokio::test]
async fn calls_are_logged_with_their_table_and_index() {
    let table = table().await;
    table.put(&[("pk", "a")]).await;
    let wanted = KeysAndAttributes::builder().keys(key("a")).build().unwrap();
    table.client.batch_get_item().request_items(&table.name, wanted).send().await.unwrap();
    let query = table.client.query().table_name(&table.name).index_name("by_owner");
    let query =
        query.key_condition_expression("#owner = :owner").expression_attribute_names("#owner", "owner");
    query.expression_attribute_values(":owner", text("me")).send().await.unwrap();

    for (operation, index) in [("PutItem", None), ("BatchGetItem", None), ("Query", Some("by_owner"))] {
        let call = table.aws.logged(operation).await;
        let index = index.map(str::to_owned);
        let subject = Subject::Table { name: table.name.clone(), index, writes: [].into() };
        assert_eq!((call.service, call.subject.clone()), (Service::DynamoDb, subject));
        assert_eq!(call.iam_actions(), [format!("dynamodb:{operation}")]);
        assert!(call.took_effect.is_some());
    }
}

#[tokio::test]
async fn a_large_item_is_stored_and_a_larger_one_refused() {
    let table = table().await;
    let put = async |bytes: usize| {
        let mut large = item(&[("pk", "a")]);
        large.insert("text".to_owned(), text(&"x".repeat(bytes)));
        table.client.put_item().table_name(&table.name).set_item(Some(large)).send().await
    };
    put(390 * 1024).await.unwrap();
    let error = put(401 * 1024).await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
}

#[tokio::test]
async fn another_service_is_not_taken_for_dynamodb() {
    let aws = start().await;
    let request =
        http().post(aws.endpoints.url()).header("x-amz-target", "DynamoDBStreams_20120810.ListStreams");
    assert_eq!(request.body("{}").send().await.unwrap().status().as_u16(), 400);
}
