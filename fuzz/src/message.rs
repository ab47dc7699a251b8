use std::sync::LazyLock;

use shared_schema::keys::{self, MAX_EXTENSION_BYTES, MAX_KEY_BYTES, OutputKeys};
use shared_schema::message::{self, Unwrapped};
use shared_schema::{ClaimCheck, Contract, Registry};

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::new(Registry::default()));

/// Reads the body of an SQS message as the worker does.
pub fn message(bytes: &[u8]) {
    let Some(Unwrapped { message, sns_message_id }) =
        std::str::from_utf8(bytes).ok().and_then(|body| message::unwrap(body).ok())
    else {
        return;
    };
    let submission = message::submission(&message, sns_message_id.as_deref(), "from-sqs");
    if let (Some(sender), Some(submission)) = (message::sender(&message), submission) {
        let keys = OutputKeys::new(&sender.prefix, &sender.id, &submission);
        assert!(keys.out().len() <= MAX_KEY_BYTES);
        if keys::fits(&sender.prefix, &sender.id) {
            assert!(keys.file(99_999, &"e".repeat(MAX_EXTENSION_BYTES)).len() <= MAX_KEY_BYTES);
        }
        let key = keys.next().out();
        assert!(
            !keys::is_reserved(&key) && key.split('/').all(|segment| segment != "..") && !key.contains('\0')
        );
    }
    if ClaimCheck::in_message(&message).is_none() {
        let first = CONTRACT.message(message);
        if let Err(violations) = &first {
            assert!(!violations.is_empty());
            return;
        }
        assert_accepted_again(first);
    }
}

/// What was accepted can be published, and reads the same the next time.
fn assert_accepted_again(first: Result<shared_schema::Task, Vec<shared_schema::Violation>>) {
    let json = first.as_ref().ok().and_then(|task| message::to_json(task).ok()).unwrap_or_default();
    assert!(message::is_attribute(&json), "SQS takes no such characters: {json}");
    let again = message::unwrap(&json).map(|unwrapped| CONTRACT.message(unwrapped.message));
    assert_eq!(again, Ok(first));
}

/// Whether a worker accepts the task in a published message.
pub(crate) fn is_accepted(body: &str) -> bool {
    message::unwrap(body).is_ok_and(|unwrapped| CONTRACT.message(unwrapped.message).is_ok())
}
