use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsFluentBuilder;
use aws_sdk_dynamodb::types::{
    ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::{Table, item, key, table, text};

/// Creates `pk` if it does not exist, and sets the status of the item `counter` to `status`.
fn create_and_set(table: &Table, pk: &str, status: &str) -> TransactWriteItemsFluentBuilder {
    let put = Put::builder().table_name(&table.name).set_item(Some(key(pk)));
    let put = put
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let update = Update::builder().table_name(&table.name).set_key(Some(key("counter")));
    let update = update
        .update_expression("SET #status = :new")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":new", text(status));
    table
        .client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(put.build().unwrap()).build())
        .transact_items(TransactWriteItem::builder().update(update.build().unwrap()).build())
}

#[tokio::test]
async fn a_transaction_writes_all_or_nothing_and_says_which_condition_failed() {
    let table = table().await;
    create_and_set(&table, "a", "first").send().await.unwrap();
    let error = create_and_set(&table, "a", "second").send().await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { panic!("{error:?}") };
    let reasons = cancelled.cancellation_reasons.unwrap();
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(codes, ["ConditionalCheckFailed", "None"]);
    assert_eq!(reasons[0].item, Some(key("a")));
    assert_eq!(table.get("counter").await, Some(item(&[("pk", "counter"), ("status", "first")])));
}

#[tokio::test]
async fn a_repeated_token_does_not_write_again() {
    let table = table().await;
    let create = || create_and_set(&table, "a", "first").client_request_token("once");
    create().send().await.unwrap();
    create().send().await.unwrap();
}

#[tokio::test]
async fn a_role_for_a_transaction_allows_its_writes() {
    let table = table().await;
    let check = ConditionCheck::builder().table_name(&table.name).set_key(Some(key("none")));
    let check = check.condition_expression("attribute_not_exists(pk)").build().unwrap();
    let delete = Delete::builder().table_name(&table.name).set_key(Some(key("a"))).build().unwrap();
    let transaction = || {
        create_and_set(&table, "b", "set")
            .transact_items(TransactWriteItem::builder().condition_check(check.clone()).build())
            .transact_items(TransactWriteItem::builder().delete(delete.clone()).build())
            .send()
    };
    let needed =
        ["dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"];
    table.aws.endpoints.allow_only("test", &needed[1..]);
    let error = transaction().await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("AccessDeniedException"));
    assert_eq!(table.aws.logged("TransactWriteItems").await.iam_actions(), needed);
    table.aws.endpoints.allow_only("test", &needed);
    transaction().await.unwrap();
}
