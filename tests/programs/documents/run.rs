//! The commands for the local stack, in the order of the pages, as users paste them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use integration_tests::{binaries, wait};
use local_stack::provision::Clients;
use serde_json::{Deserializer, Value};

use super::commands::{Treatment, treatment};
use super::guides;
use super::markdown::{Block, Document};
use crate::served::{Folder, KEY, Served};

/// Fields whose values differ each time.
const VARYING: [&str; 13] = [
    "request_id",
    "submission",
    "notification_id",
    "image_url",
    "output_url",
    "s3_uri",
    "url",
    "url_expires_at",
    "bytes",
    "queue_ms",
    "prepare_ms",
    "run_ms",
    "store_ms",
];

#[tokio::test]
#[ignore = "needs curl and the AWS CLI: `./test` runs it once they are installed"]
async fn the_commands_of_the_documents_work() {
    let mut stack = Served::start().await;
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    fs::create_dir(folder.0.join("infra")).unwrap();
    std::os::unix::fs::symlink(&stack.folder.0, folder.0.join("data")).unwrap();
    let simulated = |line: &str| {
        let url = line.split_once("(simulated comfyui at ")?.1;
        Some(url.trim_end().trim_end_matches(')').to_owned())
    };
    let comfyui = stack.process.wait_for_output("the simulated ComfyUI", simulated).await;
    let mut accepted = BTreeSet::new();
    for document in guides() {
        let runs = |block: &&Block| treatment(block) == Ok(Treatment::Run);
        let blocks: Vec<&Block> = document.blocks.iter().filter(runs).collect();
        let servers = [
            ("http://127.0.0.1:8080", stack.url.as_str()),
            ("http://127.0.0.1:4566", &stack.aws_url),
            ("http://127.0.0.1:8188", &comfyui),
        ];
        run(&document.path, &blocks, &folder.0, &servers).await;
        for (number, block) in blocks.iter().enumerate() {
            let place = format!("{}:{}", document.path, block.line);
            let printed = fs::read_to_string(folder.0.join(number.to_string())).unwrap();
            if let Some(path) = saved_file(&block.text) {
                let saved = fs::read(folder.0.join(path)).unwrap();
                assert!(serde_json::from_slice::<Value>(&saved).is_ok(), "{place} saves no JSON");
            } else if block.text.contains("curl -s ") || answer_of(&document, block).is_some() {
                let answers = answers(&printed, &place);
                compare(&document, block, &answers, &place);
                let ids = answers.iter().filter_map(|answer| answer["id_task"].as_str());
                accepted.extend(ids.map(str::to_owned));
            }
        }
    }
    assert!(accepted.len() > 7, "{accepted:?}");
    for id in &accepted {
        stack.image(id).await;
    }
    the_documented_notification_is_sent(&stack).await;
}

/// Runs blocks in one shell, each with a file of its own for what it prints.
async fn run(name: &str, blocks: &[&Block], folder: &Path, servers: &[(&str, &str)]) {
    let scripts =
        blocks.iter().enumerate().map(|(number, block)| format!("{{\n{}\n}} >{number}\n", block.text));
    let script = scripts.collect::<String>().replace("demo-key", KEY);
    let script = servers.iter().fold(script, |script, (shown, real)| script.replace(shown, real));
    // Behind a proxy, requests to loopback addresses must not go through it.
    let mut shell = Command::new("sh");
    shell.args(["-euc", &script]).current_dir(folder).env("NO_PROXY", "*").env("AWS_PAGER", "");
    // `darkroom` as if it were installed, without a profile. This stack is not at the usual address.
    let programs = binaries::executable("darkroom").parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(programs).chain(std::env::split_paths(&path));
    shell.env("PATH", std::env::join_paths(paths).unwrap());
    shell.env("XDG_CONFIG_HOME", folder).env("DARKROOM_ENDPOINT", servers[0].1);
    let errors = fs::File::create(folder.join("errors")).unwrap();
    let mut shell = shell.stdin(Stdio::null()).stderr(errors).spawn().unwrap();
    let status = wait::until(name, async || shell.try_wait().unwrap()).await;
    let errors = fs::read_to_string(folder.join("errors")).unwrap();
    assert!(status.success(), "the commands of {name} fail: {errors}");
}

/// The file in which a block of one `curl` command saves its answer.
fn saved_file(block: &str) -> Option<&str> {
    let (_, path) = block.trim_end().strip_prefix("curl ")?.split_once(" --output ")?;
    (!path.contains(char::is_whitespace)).then_some(path)
}

fn answers(printed: &str, place: &str) -> Vec<Value> {
    let answers = Deserializer::from_str(printed).into_iter().collect::<Result<Vec<Value>, _>>();
    let answers = answers.unwrap_or_else(|error| panic!("{place} printed no JSON ({error}): {printed}"));
    assert!(!answers.is_empty(), "{place} printed nothing");
    answers
}

/// The block of JSON directly after a block: what that prints.
fn answer_of<'a>(document: &'a Document, block: &Block) -> Option<&'a Block> {
    let next = document.blocks.iter().find(|other| other.line > block.line);
    next.filter(|next| next.follows && next.language == "json")
}

/// A block of JSON after commands is what they print; others succeed.
fn compare(document: &Document, block: &Block, answers: &[Value], place: &str) {
    match answer_of(document, block) {
        Some(next) => {
            let documented: Value = serde_json::from_str(&next.text).unwrap();
            let difference = difference("", &documented, &answers[0]);
            assert_eq!(difference, None, "{place} is not answered as documented: {}", answers[0]);
        }
        None => {
            // A task of `v1` has links, and a job of Comfy API v2 has URLs.
            let of_success = ["submission", "links", "urls"];
            let is_refused = |answer: &&Value| of_success.iter().all(|field| answer[field].is_null());
            let refused = answers.iter().find(is_refused);
            assert!(refused.is_none(), "{place}: {refused:?}");
        }
    }
}

/// The queue of the page about notifications gets what the page shows.
async fn the_documented_notification_is_sent(stack: &Served) {
    let page = super::read("docs/results-and-notifications.md");
    let mut shown = page.blocks.iter().filter(|block| block.text.contains("notification_id"));
    let documented: Value = serde_json::from_str(&shown.next().unwrap().text).unwrap();
    let sqs = Clients::new(&stack.aws_url).sqs;
    let queue = sqs.get_queue_url().queue_name("my-results").send().await.unwrap().queue_url.unwrap();
    let sent = wait::until("the notification of a success", async || {
        let poll = sqs.receive_message().queue_url(&queue).wait_time_seconds(1);
        let message = poll.send().await.unwrap().messages.unwrap_or_default().pop()?;
        let sent: Value = serde_json::from_str(message.body.as_deref().unwrap()).unwrap();
        (sent["task_status"] == "succeeded").then_some(sent)
    })
    .await;
    assert_eq!(difference("", &documented, &sent), None, "{sent}");
}

/// Where two documents differ, except for values that differ each time.
fn difference(at: &str, documented: &Value, real: &Value) -> Option<String> {
    let varies = at.split('/').any(|field| VARYING.contains(&field));
    match (documented, real) {
        (Value::Object(documented), Value::Object(real)) => {
            let names =
                |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
            if names(documented) != names(real) {
                return Some(format!("{at}: other fields"));
            }
            documented
                .iter()
                .find_map(|(name, value)| difference(&format!("{at}/{name}"), value, &real[name]))
        }
        (Value::Array(documented), Value::Array(real)) if documented.len() == real.len() => {
            let mut pairs = documented.iter().zip(real);
            pairs.find_map(|(documented, real)| difference(at, documented, real))
        }
        (documented, real) if documented == real => None,
        (Value::String(_), Value::String(_)) | (Value::Number(_), Value::Number(_)) if varies => None,
        _ => Some(format!("{at}: {real} instead of {documented}")),
    }
}

#[test]
fn only_values_that_vary_may_differ() {
    let documented =
        serde_json::json!({ "id": "a", "submission": "1", "outputs": [{ "bytes": 7, "width": 512 }] });
    let with = |pointer: &str, value: Value| {
        let mut real = documented.clone();
        *real.pointer_mut(pointer).unwrap() = value;
        difference("", &documented, &real)
    };
    assert_eq!(with("/submission", "2".into()), None);
    assert_eq!(with("/outputs/0/bytes", 8.into()), None);
    assert!(with("/submission", 2.into()).is_some());
    assert!(with("/id", "b".into()).is_some());
    assert!(with("/outputs/0/width", 513.into()).is_some());
    assert!(with("/outputs", serde_json::json!([])).is_some());
    assert!(with("/outputs/0", serde_json::json!({ "bytes": 7 })).is_some());
}
