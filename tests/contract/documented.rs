//! The documents name what the programs call, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::scenes;

const SECURITY: &str = include_str!("../../docs/security.md");

/// The actions that a part of a document names, from `begin` to `end`, of these services.
fn named(document: &str, begin: &str, end: &str, services: &[&str]) -> BTreeSet<String> {
    let part = document.split_once(begin).unwrap_or_else(|| panic!("no {begin:?}")).1;
    let part = part.split_once(end).unwrap_or_else(|| panic!("no {end:?} after {begin:?}")).0;
    let quoted =
        part.split('`').skip(1).step_by(2).filter_map(|quoted| Some((quoted, quoted.split_once(':')?.0)));
    // `s3://` is an address.
    let actions = quoted.filter(|(quoted, service)| services.contains(service) && !quoted.contains('/'));
    actions.map(|(action, _)| action.to_owned()).collect()
}

/// The actions that the table of permissions for task records has for a program.
fn with_records(program: &str, services: &[&str]) -> BTreeSet<String> {
    let (_, records) = SECURITY.split_once("\n### Task records\n").unwrap();
    named(records, &format!("\n| {program} |"), "\n", services)
}

/// The actions that a program was observed to need.
fn observed(calls: &Value, program: &str) -> BTreeSet<String> {
    let calls = calls[program].as_array().unwrap();
    calls.iter().map(|call| call["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_documents_name_the_actions_that_the_programs_need() {
    if integration_tests::aws::skipped_elsewhere(
        "documented actions",
        "only embedded APIs keep a record of their calls",
    ) {
        return;
    }
    let calls = serde_json::to_value(scenes::calls().await).unwrap();
    let services = ["sqs", "sns", "s3", "dynamodb"];
    let worker = named(SECURITY, "\n### Worker\n", "\n### ", &services);
    assert_eq!(observed(&calls, "worker"), &worker | &with_records("worker", &services));
    // What it needs of its queues is Lambda's to use.
    let services = ["sns", "s3", "dynamodb"];
    let dead_letter = named(SECURITY, "\n### Dead-letter function\n", "\n## ", &services);
    let recording = with_records("dead-letter function", &services);
    assert_eq!(observed(&calls, "dead_letter"), &dead_letter | &recording);
    let services = ["sqs", "sns", "s3", "dynamodb"];
    let front_door = named(SECURITY, "\n### Front door\n", "\n### ", &services);
    assert_eq!(observed(&calls, "front_door"), &front_door | &with_records("front door", &services));

    let stored =
        calls["front_door"].as_array().unwrap().iter().filter(|call| call["action"] == "s3:PutObject");
    let keys: Vec<&str> = stored.map(|call| call["key"].as_str().unwrap()).collect();
    assert_eq!(
        keys,
        ["_darkroom/tasks/*", "_darkroom/uploads/*"],
        "the document allows the front door no other"
    );
}
