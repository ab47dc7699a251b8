use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure,
};

use super::{item, key, table, text};

#[tokio::test]
async fn an_item_is_created_only_once() {
    let table = table().await;
    let create = async |status: &str| {
        let put = table.client.put_item().table_name(&table.name);
        let put = put.set_item(Some(item(&[("pk", "a"), ("status", status)])));
        put.condition_expression("attribute_not_exists(pk)").send().await
    };
    create("queued").await.unwrap();
    let error = create("again").await.unwrap_err().into_service_error();
    assert!(error.is_conditional_check_failed_exception(), "{error:?}");
    assert_eq!(error.meta().message(), Some("The conditional request failed"));
    assert_eq!(table.get("a").await, Some(item(&[("pk", "a"), ("status", "queued")])));
    assert_eq!(table.get("b").await, None);
}

#[tokio::test]
async fn a_conditional_update_returns_the_attributes_it_is_asked_for() {
    let table = table().await;
    table.put(&[("pk", "a"), ("status", "queued"), ("unfinished", "1"), ("created", "2026")]).await;
    let update = table.client.update_item().table_name(&table.name).set_key(Some(key("a")));
    let updated = update
        .update_expression("SET #status = :new, runs = if_not_exists(runs, :zero) + :one REMOVE unfinished")
        .condition_expression("#status IN (:old, :new)")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":old", text("queued"))
        .expression_attribute_values(":new", text("running"))
        .expression_attribute_values(":zero", AttributeValue::N("0".to_owned()))
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        .return_values(ReturnValue::AllNew)
        .send()
        .await
        .unwrap();
    let mut expected = item(&[("pk", "a"), ("status", "running"), ("created", "2026")]);
    expected.insert("runs".to_owned(), AttributeValue::N("1".to_owned()));
    assert_eq!(updated.attributes, Some(expected));
}

#[tokio::test]
async fn a_failed_condition_returns_the_item_on_request() {
    let table = table().await;
    table.put(&[("pk", "a"), ("status", "succeeded")]).await;
    let update = || {
        let update = table.client.update_item().table_name(&table.name).set_key(Some(key("a")));
        update
            .update_expression("SET #status = :new")
            .condition_expression("#status = :old")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":old", text("queued"))
            .expression_attribute_values(":new", text("running"))
    };
    let returned =
        async |update: UpdateItemFluentBuilder| match update.send().await.unwrap_err().into_service_error() {
            UpdateItemError::ConditionalCheckFailedException(failure) => failure.item,
            error => panic!("{error:?}"),
        };
    let asked =
        update().return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    assert_eq!(returned(asked).await, Some(item(&[("pk", "a"), ("status", "succeeded")])));
    assert_eq!(returned(update()).await, None);
}

#[tokio::test]
async fn a_deleted_item_is_returned_and_gone() {
    let table = table().await;
    table.put(&[("pk", "a")]).await;
    let delete = table.client.delete_item().table_name(&table.name).set_key(Some(key("a")));
    let deleted = delete.return_values(ReturnValue::AllOld).send().await.unwrap();
    assert_eq!(deleted.attributes, Some(key("a")));
    assert_eq!(table.get("a").await, None);
}

#[tokio::test]
async fn a_batch_returns_the_items_that_exist() {
    let table = table().await;
    for pk in ["a", "b", "c"] {
        table.put(&[("pk", pk), ("status", "queued")]).await;
    }
    let keys = ["a", "none", "c"].map(key).to_vec();
    let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).projection_expression("pk");
    let batch = table.client.batch_get_item().request_items(&table.name, wanted.build().unwrap());
    let answer = batch.send().await.unwrap();
    let mut found: Vec<String> = answer.responses.unwrap()[&table.name]
        .iter()
        .map(|item| {
            assert_eq!(item.len(), 1);
            item["pk"].as_s().unwrap().clone()
        })
        .collect();
    found.sort();
    assert_eq!(found, ["a", "c"]);
    assert!(answer.unprocessed_keys.unwrap_or_default().is_empty());
}
