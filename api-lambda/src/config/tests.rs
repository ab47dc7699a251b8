use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::*;

const REQUIRED: [(&str, &str); 2] =
    [("SNS_TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:tasks"), ("S3_OUTPUT_BUCKET", "outbucket")];

fn with(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let vars: BTreeMap<&str, &str> = REQUIRED.iter().chain(more).copied().collect();
    Config::from_vars(|name| vars.get(name).map(|value| (*value).to_owned()))
}

/// The table of variables in the README: name and default.
fn readme_table() -> Vec<(&'static str, &'static str)> {
    include_str!("../../README.md")
        .lines()
        .skip_while(|line| !line.starts_with("| variable |"))
        .skip(2)
        .map_while(|line| line.strip_prefix("| `"))
        .map(|row| {
            let (name, rest) = row.split_once("` | ").unwrap();
            (name, rest.split(" | ").next().unwrap())
        })
        .collect()
}

#[test]
fn the_readme_lists_the_variables_that_are_read() {
    let asked = RefCell::new(BTreeSet::new());
    let _ = Config::from_vars(|name| {
        asked.borrow_mut().insert(name.to_owned());
        None
    });
    let listed: BTreeSet<String> = readme_table().into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(listed, asked.into_inner());
}

#[test]
fn the_readme_states_the_defaults() {
    let table = readme_table();
    let defaults: Vec<(&str, &str)> = table
        .iter()
        .filter_map(|(name, default)| Some((*name, default.strip_prefix('`')?.strip_suffix('`')?)))
        .collect();
    assert_eq!(with(&defaults), with(&[]));
    for (name, default) in &table {
        let required = REQUIRED.iter().any(|(required, _)| required == name);
        assert_eq!(*default == "required", required, "{name}");
    }
    let numbers = [
        "MAX_PIXELS",
        "MAX_STEPS",
        "MAX_IMAGES",
        "MAX_BODY_BYTES",
        "MAX_MESSAGE_BYTES",
        "PUBLISH_TIMEOUT_MS",
        "LOG_LEVEL",
    ];
    assert!(numbers.iter().all(|name| defaults.iter().any(|(listed, _)| listed == name)), "{defaults:?}");
}

#[test]
fn every_bad_variable_is_named_at_once() {
    let vars = [
        ("SNS_TOPIC_ARN", "tasks"),
        ("RUNTIMES", "[{]"),
        ("MAX_BODY_BYTES", "much"),
        ("MAX_MESSAGE_BYTES", "1048577"),
        ("PUBLISH_TIMEOUT_MS", "29000"),
        ("LOG_LEVEL", "loud"),
    ];
    let vars: BTreeMap<&str, &str> = vars.into_iter().collect();
    let text = Config::from_vars(|name| vars.get(name).map(|v| (*v).to_owned())).unwrap_err().to_string();
    for variable in vars.keys().copied().chain(["S3_OUTPUT_BUCKET"]) {
        assert_eq!(text.matches(&format!("; {variable} ")).count(), 1, "{variable}: {text}");
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    assert_eq!(with(&[("MAX_BODY_BYTES", ""), ("RUNTIMES", " ")]), with(&[]));
    assert!(with(&[("S3_OUTPUT_BUCKET", "")]).is_err());
}

#[test]
fn two_sources_of_runtimes_are_an_error() {
    let error = with(&[("RUNTIMES", "[]"), ("RUNTIMES_FILE", "runtimes.json")]).unwrap_err().to_string();
    assert!(error.contains("both"), "{error}");
}

#[test]
fn runtimes_and_node_lists_are_read_from_files_beside_each_other() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let config = with(&[("LAMBDA_TASK_ROOT", root), ("RUNTIMES_FILE", "runtimes/runtimes.json")]).unwrap();
    let flow = config.runtimes.by_name("flow").unwrap();
    assert!(flow.nodes.as_ref().unwrap().0["SaveImage"].output_node);

    let error = with(&[("LAMBDA_TASK_ROOT", root), ("RUNTIMES_FILE", "none.json")]).unwrap_err().to_string();
    assert!(error.contains("RUNTIMES_FILE") && error.contains("none.json"), "{error}");
}

#[test]
fn a_registry_that_nobody_could_use_is_an_error() {
    for (runtimes, why) in [
        (r#"[{"name": "a", "type": "sdwebui"}, {"name": "a", "type": "comfyui"}]"#, "twice"),
        (r#"[{"name": "", "type": "sdwebui"}]"#, "name"),
        (r#"[{"name": "a", "type": "sd-webui"}]"#, "task types"),
    ] {
        let error = with(&[("RUNTIMES", runtimes)]).unwrap_err().to_string();
        assert!(error.contains("RUNTIMES") && error.contains(why), "{error}");
    }
}

#[test]
fn the_region_is_the_topics() {
    assert_eq!(with(&[]).unwrap().topic_region(), "eu-west-1");
}
