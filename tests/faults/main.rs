//! For every call that a worker makes, the result of its task when the call fails: see `README.md`, the table that
//! these tests compare with the worker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod calls;
mod case;
mod injection;
mod outcome;
mod scenario;
mod table;
mod task;

#[tokio::test]
async fn a_failing_call_of_sqs_has_the_outcome_in_the_table() {
    table::assert_section("SQS", calls::sqs::cases()).await;
}

#[tokio::test]
async fn a_failing_call_of_s3_has_the_outcome_in_the_table() {
    table::assert_section("S3", calls::s3::cases()).await;
}

#[tokio::test]
async fn a_failing_call_of_sns_has_the_outcome_in_the_table() {
    table::assert_section("SNS", calls::sns::cases()).await;
}

#[tokio::test]
async fn a_failing_call_of_dynamodb_has_the_outcome_in_the_table() {
    table::assert_section("DynamoDB", calls::dynamodb::cases()).await;
}

#[tokio::test]
async fn a_failing_server_of_images_has_the_outcome_in_the_table() {
    table::assert_section("Images", calls::images::cases()).await;
}

#[tokio::test]
async fn a_failing_call_of_sd_webui_has_the_outcome_in_the_table() {
    table::assert_section("SD WebUI", calls::sdwebui::cases()).await;
}

#[tokio::test]
async fn a_failing_call_of_comfyui_has_the_outcome_in_the_table() {
    table::assert_section("ComfyUI", calls::comfyui::cases()).await;
}
