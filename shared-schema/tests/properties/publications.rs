//! What is published of any result: SNS accepts it, and programs get the notification.

use proptest::prelude::*;
use serde_json::{Value, json};
use shared_schema::notification::{
    Failure, Output, Publication, RunningNotification, TaskStatus, Timings, Warning, WarningCode,
    notification_id,
};
use shared_schema::{
    ErrorCode, Notification, OutputPrefix, RuntimeName, Submission, TaskId, TaskType, Violation,
    ViolationCode, keys,
};

use crate::values::{ids, names, values};

/// A text that is short, odd, or larger than a message.
fn texts() -> impl Strategy<Value = String> {
    let large = (prop::sample::select(vec!["x", "\"", "\u{1}", "猫", "\u{ffff}"]), 0_usize..300_000);
    prop_oneof![4 => names(), 1 => large.prop_map(|(part, times)| part.repeat(times))]
}

fn contexts() -> impl Strategy<Value = Value> {
    prop_oneof![values(), texts().prop_map(|text| json!({ "text": text }))]
}

fn outputs() -> impl Strategy<Value = Vec<Output>> {
    let count = prop_oneof![0_usize..30, 0_usize..2_000];
    (count, any::<bool>(), 0_usize..2_000).prop_map(|(count, is_signed, length)| {
        let output = |n: usize| Output {
            s3_uri: format!("s3://bucket/output/{n}.png"),
            url: is_signed.then(|| format!("https://bucket/output/{n}.png?{}", "0".repeat(length))),
            url_expires_at: is_signed.then(|| "2026-05-04T12:00:00Z".to_owned()),
            content_type: "image/png".to_owned(),
            bytes: 1,
            width: Some(512),
            height: None,
        };
        (0..count).map(output).collect()
    })
}

fn failures() -> impl Strategy<Value = Failure> {
    let code = prop::sample::select(ErrorCode::ALL);
    (code, texts(), prop_oneof![(texts(), 0_usize..4), (names(), 0_usize..120)], prop::option::of(texts()))
        .prop_map(|(code, message, (pointer, violations), field)| Failure {
            code,
            message,
            field: field.clone(),
            node_id: field.clone(),
            class_type: field,
            violations: vec![Violation::new(pointer, ViolationCode::WrongType, "must be text"); violations],
            attempts: 3,
        })
}

fn notifications() -> impl Strategy<Value = Notification> {
    let status = prop::sample::select(vec![
        TaskStatus::Succeeded,
        TaskStatus::Failed,
        TaskStatus::Canceled,
        TaskStatus::Expired,
    ]);
    let what = (
        prop::option::of(failures()),
        prop_oneof![prop::collection::vec(texts(), 0..3), prop::collection::vec(names(), 0..20)],
        outputs(),
    );
    (ids(), texts(), contexts(), status, what).prop_filter_map(
        "an id that names no file",
        |(id, runtime, context, task_status, (error, warnings, outputs))| {
            let id = TaskId::from_json(&id).ok().filter(|id| keys::fits(&OutputPrefix::default(), id))?;
            let submission = Submission::parse("s")?;
            Some(Notification {
                runtime: RuntimeName::new(runtime),
                output_url: format!("s3://bucket/{id}.out"),
                id,
                result: error.is_none(),
                status: "completed".to_owned(),
                image_url: outputs.iter().map(|output| output.s3_uri.clone()).collect(),
                context,
                task_status,
                outputs,
                error,
                warnings: warnings.iter().map(|text| Warning::new(WarningCode::ValueIgnored, text)).collect(),
                notification_id: notification_id(&submission),
                submission,
                timings: Timings::default(),
                trace_id: None,
                shortened: Vec::new(),
            })
        },
    )
}

fn task_types() -> impl Strategy<Value = Option<TaskType>> {
    prop::option::of(prop::sample::select(TaskType::ALL.to_vec()))
}

/// Whether SNS accepts it, by its documents; returns the text for programs, and that for emails, if it is another one.
fn check(publication: &Publication) -> Result<(String, Option<String>), TestCaseError> {
    let Publication { message, is_structured, subject, attributes } = publication;
    let counted = attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
    let size = message.len() + subject.len() + counted.sum::<usize>();
    prop_assert!(size <= 262_144, "{size} bytes");
    prop_assert!((1..100).contains(&subject.len()), "{subject:?}");
    prop_assert!(subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{subject:?}");
    prop_assert!(subject.starts_with(|first: char| first.is_ascii_alphanumeric()), "{subject:?}");
    for (name, value) in attributes {
        prop_assert!(!value.is_empty() && shared_schema::message::is_attribute(value), "{name}: {value:?}");
    }
    // A message has the same characters as an attribute.
    prop_assert!(shared_schema::message::is_attribute(message));
    if !is_structured {
        return Ok((message.clone(), None));
    }
    let texts: Value = serde_json::from_str(message).unwrap();
    let text = |protocol: &str| texts[protocol].as_str().unwrap().to_owned();
    Ok((text("default"), Some(text("email"))))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn sns_accepts_what_is_published_of_any_result(whole in notifications(), task_type in task_types()) {
        let publication = whole.publication(task_type).unwrap();
        let (json, email) = check(&publication)?;
        let sent: Notification = serde_json::from_str(&json).unwrap();
        prop_assert_eq!((&sent.id, &sent.output_url), (&whole.id, &whole.output_url));
        if sent.shortened.is_empty() {
            prop_assert_eq!(&sent, &whole);
        }
        let Some(email) = email else { return Ok(()) };
        prop_assert!(email.len() < 100_000, "an email of {} bytes", email.len());
        prop_assert!(email.chars().all(|c| c == '\n' || !c.is_control()));
        let links: Vec<&str> = email.lines().filter(|line| line.starts_with("https://")).collect();
        prop_assert!(links.len() <= 10);
        for (link, output) in links.iter().zip(&whole.outputs) {
            prop_assert_eq!(Some(*link), output.url.as_deref());
        }
        // No text of a caller begins a line.
        let known = ["Task: ", "Status: ", "Runtime: ", "Error: ", "What to do: ", "Violation: ", "Warning: ", "Files: ",
                     "https://", "s3://bucket/", "and ", "All files ", "Details: "];
        for line in email.lines() {
            prop_assert!(known.iter().any(|start| line.starts_with(start)), "{line:?}");
        }
    }

    #[test]
    fn sns_accepts_what_is_published_of_a_running_task(
        id in ids(), runtime in names(), context in contexts(), task_type in task_types(),
    ) {
        let Ok(id) = TaskId::from_json(&id) else { return Ok(()) };
        let submission = Submission::parse("s").unwrap();
        let running = RunningNotification {
            runtime: RuntimeName::new(runtime), id, status: "running".to_owned(), context, submission, trace_id: None, shortened: Vec::new(),
        };
        let (json, _) = check(&running.publication(task_type).unwrap())?;
        let sent: RunningNotification = serde_json::from_str(&json).unwrap();
        if sent.shortened.is_empty() {
            prop_assert_eq!(sent, running);
        }
    }
}
