use super::*;
use crate::notification::{Failure, Output, TaskStatus, Timings, Warning, WarningCode, notification_id};
use crate::{ErrorCode, Submission, TaskId, Violation, ViolationCode};
use serde_json::{Value, json};

fn notification(id: &str, files: usize) -> Notification {
    let submission = Submission::parse("s").unwrap();
    let uri = |n: usize| format!("s3://bucket/a/{n}.png");
    let output = |n: usize| Output {
        s3_uri: uri(n),
        url: Some(format!("https://bucket/a/{n}.png?X-Amz-Signature=0")),
        url_expires_at: Some("2026-05-04T12:00:00Z".to_owned()),
        content_type: "image/png".to_owned(),
        bytes: 1,
        width: None,
        height: None,
    };
    Notification {
        runtime: RuntimeName::new("sdruntime"),
        id: TaskId::from_json(&json!(id)).unwrap(),
        result: true,
        status: "completed".to_owned(),
        image_url: (0..files).map(uri).collect(),
        output_url: "s3://bucket/a.out".to_owned(),
        context: json!({ "order": "\u{ffff}" }),
        task_status: TaskStatus::Succeeded,
        outputs: (0..files).map(output).collect(),
        error: None,
        warnings: Vec::new(),
        notification_id: notification_id(&submission),
        submission,
        timings: Timings::default(),
        trace_id: None,
        shortened: Vec::new(),
    }
}

fn failed(id: &str, error: Failure) -> Notification {
    let (task_status, error) = (TaskStatus::Failed, Some(error));
    Notification { result: false, task_status, error, ..notification(id, 0) }
}

fn published(notification: &Notification) -> (Publication, Value) {
    let publication = notification.publication(Some(TaskType::TextToImage)).unwrap();
    assert!(publication.is_structured);
    let texts = serde_json::from_str(&publication.message).unwrap();
    (publication, texts)
}

#[test]
fn programs_get_the_notification_alone_and_emails_a_text_with_a_link_per_file() {
    let whole = notification("a cat/猫", 2);
    let (publication, texts) = published(&whole);
    assert_eq!(texts.as_object().unwrap().keys().collect::<Vec<_>>(), ["default", "email"]);
    // As it was published before there was a structure: byte for byte, with the escape for what SQS does not take.
    assert_eq!(texts["default"], serde_json::to_string(&whole).unwrap().replace('\u{ffff}', "\\uffff"));
    assert_eq!(
        texts["email"],
        "Task: a cat/猫\nStatus: succeeded\nRuntime: sdruntime\n\
         Files: 2 (links work until 2026-05-04T12:00:00Z)\n\
         https://bucket/a/0.png?X-Amz-Signature=0\n\
         https://bucket/a/1.png?X-Amz-Signature=0\n\
         Details: s3://bucket/a.out\n"
    );
    assert_eq!(publication.subject, "Task a cat/?: succeeded");
    let attributes = [("status", "succeeded"), ("runtime", "sdruntime"), ("tasktype", "text-to-image")];
    assert_eq!(publication.attributes, attributes.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn an_email_counts_the_files_that_it_does_not_link_and_shows_the_address_of_one_without_a_url() {
    let mut many = notification("a", 12);
    many.outputs[0].url = None;
    let (_, texts) = published(&many);
    let email = texts["email"].as_str().unwrap();
    assert!(email.contains("\ns3://bucket/a/0.png\nhttps://bucket/a/1.png?"), "{email}");
    assert!(email.ends_with(
        "/9.png?X-Amz-Signature=0\nand 2 more files in s3://bucket/a.out\nDetails: s3://bucket/a.out\n"
    ));
    assert_eq!(email.matches("https://").count(), 9);
}

#[test]
fn an_email_about_a_failure_says_why_and_what_to_do() {
    let violation = Violation::new("/content/steps", ViolationCode::WrongType, "must be a number");
    let failure = Failure {
        code: ErrorCode::InvalidTask,
        message: "the task is invalid in 7 places;\r\nsee\u{202e} `violations`".to_owned(),
        field: None,
        node_id: None,
        class_type: None,
        violations: vec![violation; 7],
        attempts: 1,
    };
    let (publication, texts) = published(&failed("a", failure));
    let violations = "Violation: /content/steps must be a number\n".repeat(5);
    assert_eq!(
        texts["email"],
        format!(
            "Task: a\nStatus: failed\nRuntime: sdruntime\n\
             Error: invalid_task: the task is invalid in 7 places;  see\u{fffd} `violations`\n\
             What to do: correct each violation; it names field, rule and remedy\n\
             {violations}and 2 more violations in s3://bucket/a.out\nDetails: s3://bucket/a.out\n"
        )
    );
    assert_eq!(publication.subject, "Task a: failed (invalid_task)");
    assert_eq!(publication.attributes[0], ("status", "failed".to_owned()));
}

#[test]
fn warnings_are_in_the_email() {
    let warnings = vec![Warning::new(WarningCode::ValueReplaced, "the sampler X is not known")];
    let (_, texts) = published(&Notification { warnings, ..notification("a", 1) });
    let email = texts["email"].as_str().unwrap();
    assert!(email.contains("\nWarning: the sampler X is not known\nFiles: 1 "), "{email}");
}

#[test]
fn a_subject_has_fewer_than_100_characters_and_ends_with_the_result() {
    let (publication, _) = published(&notification(&"猫 …".repeat(300), 1));
    assert_eq!(publication.subject.len(), 99);
    assert!(publication.subject.starts_with("Task ? ??"), "{}", publication.subject);
    assert!(publication.subject.ends_with("...: succeeded"), "{}", publication.subject);
}

#[test]
fn what_is_no_value_of_an_attribute_is_left_out() {
    for runtime in [String::new(), "a\u{1}".to_owned(), "\u{fffe}".to_owned(), "r".repeat(257)] {
        let odd = Notification { runtime: RuntimeName::new(runtime), ..notification("a", 0) };
        let names = odd.publication(None).unwrap().attributes.into_iter().map(|(name, _)| name);
        assert_eq!(names.collect::<Vec<_>>(), ["status"]);
    }
}

#[test]
fn a_text_that_does_not_fit_beside_the_notification_leaves_out_its_links_and_then_itself() {
    // Quotation marks in the context have two bytes in the notification, and four in a text of the structure.
    let with_context =
        |bytes: usize| Notification { context: json!("x".repeat(bytes)), ..notification("a", 12) };
    let rest = with_context(0).publication(None).unwrap().message.len();
    let without_links = with_context(Notification::MAX_BYTES - rest).publication(None).unwrap();
    let texts: Value = serde_json::from_str(&without_links.message).unwrap();
    assert!(texts["email"].as_str().unwrap().contains("\nAll files are in s3://bucket/a.out\n"));

    let quoted = Notification { context: json!("\"".repeat(100_000)), ..notification("a", 12) };
    let alone = quoted.publication(None).unwrap();
    assert!(!alone.is_structured);
    assert_eq!(alone.message, serde_json::to_string(&quoted).unwrap());
}

#[test]
fn a_running_task_has_a_text_too() {
    let Notification { runtime, id, context, submission, .. } = notification("a", 0);
    let status = "running".to_owned();
    let running = RunningNotification {
        runtime,
        id,
        status,
        context,
        submission,
        trace_id: None,
        shortened: Vec::new(),
    };
    let publication = running.publication(Some(TaskType::Pipeline)).unwrap();
    let texts: Value = serde_json::from_str(&publication.message).unwrap();
    assert_eq!(texts["email"], "Task: a\nStatus: running\nRuntime: sdruntime\n");
    assert!(texts["default"].as_str().unwrap().starts_with(r#"{"runtime":"sdruntime","id":"a""#));
    assert_eq!(publication.subject, "Task a: running");
    let attributes = [("status", "running"), ("runtime", "sdruntime"), ("tasktype", "pipeline")];
    assert_eq!(publication.attributes, attributes.map(|(name, value)| (name, value.to_owned())));
}
