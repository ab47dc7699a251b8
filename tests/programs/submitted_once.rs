//! A POST to `v1` that is repeated with its idempotency key is one task, wherever the first function died.

use std::time::Duration;

use integration_tests::aws::skipped_elsewhere;
use integration_tests::lab::Lab;
use integration_tests::wait;
use local_stack::aws::{Fault, Order, Service};
use serde_json::{Value, json};

use crate::function::{Answer, Function, rest_post};

fn event() -> Value {
    let body = json!({ "runtime": "sdruntime", "type": "text-to-image", "content": { "prompt": "x" } });
    let mut event = rest_post("/v1/tasks", &body);
    event["headers"]["Idempotency-Key"] = json!("order-7");
    event["multiValueHeaders"]["Idempotency-Key"] = json!(["order-7"]);
    event
}

async fn start(lab: &Lab) -> Function {
    let registry = json!([{ "name": "sdruntime", "type": "sdwebui" }]);
    Function::start_with(lab, &registry, &[("RECORD_TABLE", &lab.shared.record_table)]).await
}

/// Repeats the request until it succeeds. Until the claim of the function that died is over, the response is 409.
async fn repeated(function: &Function) -> Answer {
    wait::until("the repeated request", async || {
        let answer = function.answer(event()).await;
        if answer.status == 409 {
            assert_eq!(answer.body["code"], "idempotency_key_in_use");
            assert_eq!(answer.headers["retry-after"], "1");
            return None;
        }
        Some(answer)
    })
    .await
}

/// The function dies at that call, which is `action` of `service` by it.
async fn dies_at(test: &str, service: Service, action: &str, fault: Fault) {
    if skipped_elsewhere(test, "only the embedded AWS APIs inject faults") {
        return;
    }
    let lab = Lab::start().await;
    let embedded = lab.aws.embedded.as_ref().unwrap();
    let runtime = lab.runtime("sdruntime", "sdwebui", "http://127.0.0.1:9".to_owned(), None, &[]).await;
    // Each attempt of the SDK hangs.
    let order = Order::new(service, action, fault).times(ATTEMPTS);
    embedded.faults().order(order.clone());
    let first = start(&lab).await;
    {
        let invoked = first.invoke(event());
        tokio::pin!(invoked);
        let reached = wait::until("the call at which the function dies", async || {
            (embedded.faults().left_of(&order) < ATTEMPTS).then_some(())
        });
        tokio::select! {
            () = reached => {}
            outcome = &mut invoked => panic!("the function answered: {outcome:?}"),
        }
    }
    drop(first);
    embedded.faults().order(order.times(0));
    let second = start(&lab).await;
    let accepted = repeated(&second).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let (_, _) = lab.receive(&runtime.queue.url).await;
    let replayed = second.answer(event()).await;
    assert_eq!((replayed.status, &replayed.body["id"]), (202, &accepted.body["id"]));
    assert_eq!(replayed.headers["idempotency-replayed"], "true");
}

/// More than the SDK makes of one call.
const ATTEMPTS: usize = 10;

const NEVER: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_function_that_dies_before_its_record_is_created_is_continued() {
    dies_at(
        "a_function_that_dies_before_its_record_is_created_is_continued",
        Service::DynamoDb,
        "PutItem",
        Fault::DelayAfter(NEVER),
    )
    .await;
}

#[tokio::test]
async fn a_function_that_dies_between_record_and_message_is_continued() {
    dies_at(
        "a_function_that_dies_between_record_and_message_is_continued",
        Service::Sns,
        "Publish",
        Fault::DelayBefore(NEVER),
    )
    .await;
}

#[tokio::test]
async fn a_function_that_dies_after_its_message_is_published_is_continued_under_the_same_id() {
    dies_at(
        "a_function_that_dies_after_its_message_is_published_is_continued_under_the_same_id",
        Service::Sns,
        "Publish",
        Fault::DelayAfter(NEVER),
    )
    .await;
}

#[tokio::test]
async fn a_function_that_dies_before_the_record_is_marked_is_continued_under_the_same_id() {
    dies_at(
        "a_function_that_dies_before_the_record_is_marked_is_continued_under_the_same_id",
        Service::DynamoDb,
        "UpdateItem",
        Fault::DelayBefore(NEVER),
    )
    .await;
}
