//! Files of other submissions at the keys of a task, for tests of file ownership.

use serde_json::{Value, json};
use shared_schema::keys::{OutputKeys, s3_uri};
use shared_schema::{OutputPrefix, Submission, TaskId};

use crate::lab::Lab;

/// Two submissions whose SHA-256 begins with the same 32 bits.
pub const SAME_32_BITS: [&str; 2] =
    ["53a5516f-29c3-4168-a6d2-70030438aef2", "d23db658-03fd-4d45-8bc0-2bbc2f8eb57e"];

/// The keys of the files of a task with the prefix `output`.
pub fn keys_of(id: &str, submission: &str) -> OutputKeys {
    let id = TaskId::from_json(&json!(id)).unwrap();
    OutputKeys::new(&OutputPrefix::parse("output").unwrap(), &id, &Submission::parse(submission).unwrap())
}

/// An `.out` file at `key` that says that this submission succeeded, with one file.
pub fn out_of(lab: &Lab, id: &str, submission: &str, key: &str) -> Value {
    let bucket = &lab.shared.bucket;
    let image = s3_uri(bucket, &format!("{}-1.png", key.trim_end_matches(".out")));
    json!({ "images": [""], "notification": {
        "runtime": "sdruntime", "id": id, "result": true, "status": "completed", "image_url": [image],
        "output_url": s3_uri(bucket, key), "context": { "of": submission }, "task_status": "succeeded",
        "outputs": [{ "s3_uri": image, "content_type": "image/png", "bytes": 1 }],
        "notification_id": "ece0fce3-6729-841c-9470-bdf1c5a98f94", "submission": submission,
        "timings": { "queue_ms": 0, "prepare_ms": 0, "run_ms": 0, "store_ms": 0 },
    } })
}
