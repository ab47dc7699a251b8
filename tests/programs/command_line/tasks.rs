//! The life of a task: submit, watch, fetch, cancel, retry.

use std::collections::BTreeSet;

use integration_tests::lab::free_port;
use integration_tests::wait;
use serde_json::{Value, json};
use simulated_runtimes::{Fault, SdWebUiOptions, Simulation};

use super::{finished, folder, json_of, names, run_at, start, stored};
use crate::served::{KEY, Served};

const SMALL: [&str; 6] = ["--set", "width=64", "--set", "height=64", "--set", "steps=4"];

/// Waits until a task has this status.
async fn has_status(stack: &Served, id: &str, status: &str) -> Value {
    wait::until(&format!("a task that is {status}"), async || {
        let task = json_of(stack, &["get", id]).await;
        (task["status"] == status).then_some(task)
    })
    .await
}

#[tokio::test]
async fn a_prompt_becomes_a_file() {
    let stack = Served::start().await;
    let labelled = ["--label", "team=red", "--name", "lighthouse", "--prefix", "output"];
    let submitted =
        run_at(&stack.url, &[&["submit", "a lighthouse"], &SMALL[..], &labelled[..]].concat()).await;
    assert_eq!(submitted.code, 0, "{}", submitted.notes);
    let [id] = submitted.printed.as_slice() else { panic!("{:?}", submitted.printed) };

    let task = json_of(&stack, &["wait", id]).await;
    assert_eq!((&task["status"], &task["labels"]), (&json!("succeeded"), &json!({ "team": "red" })));
    let shown = run_at(&stack.url, &["get", id]).await.printed.join("\n");
    assert!(shown.contains("succeeded") && shown.contains("http"), "{shown}");

    let target = folder();
    let path = target.0.join("images");
    let fetch = ["fetch", id.as_str(), "--output", path.to_str().unwrap()];
    let fetched = json_of(&stack, &fetch).await;
    let [file] = fetched["files"].as_array().unwrap().as_slice() else { panic!("{fetched}") };
    let saved = std::fs::read(file["path"].as_str().unwrap()).unwrap();
    assert_eq!(saved, stored(&stack, &task["outputs"][0]));
    let once = names(&path);
    assert_eq!(once.len(), 1, "nothing else remains: {once:?}");

    // A file that exists is replaced only when that is wanted.
    std::fs::write(path.join(&once[0]), "mine").unwrap();
    let refused = run_at(&stack.url, &fetch).await;
    assert_eq!((refused.code, refused.notes.contains("--overwrite")), (2, true), "{}", refused.notes);
    assert_eq!(std::fs::read(path.join(&once[0])).unwrap(), b"mine");
    json_of(&stack, &[&fetch[..], &["--overwrite"]].concat()).await;
    assert_eq!((std::fs::read(path.join(&once[0])).unwrap(), names(&path)), (saved, once));
}

#[tokio::test]
async fn lists_have_the_tasks_that_match() {
    let stack = Served::start().await;
    for (team, times) in [("red", 2), ("blue", 1)] {
        for _ in 0..times {
            let label = format!("team={team}");
            let submit = [&["submit", "x", "--label", &label, "--wait"], &SMALL[..]].concat();
            json_of(&stack, &submit).await;
        }
    }
    let of = async |arguments: &[&str]| {
        let list = json_of(&stack, &[&["list"], arguments].concat()).await;
        (list["tasks"].as_array().unwrap().len(), list["next_cursor"].clone())
    };
    assert_eq!(of(&[]).await, (3, Value::Null));
    assert_eq!(of(&["--label", "team=red", "--status", "succeeded,failed"]).await, (2, Value::Null));
    assert_eq!(of(&["--status", "failed"]).await, (0, Value::Null));
    let (first, cursor) = of(&["--limit", "2"]).await;
    assert_eq!((first, of(&["--cursor", cursor.as_str().unwrap()]).await), (2, (1, Value::Null)));
    let shown = run_at(&stack.url, &["list", "--limit", "1"]).await;
    assert_eq!(shown.printed.len(), 2, "{:?}", shown.printed);
    assert!(shown.notes.contains("more tasks"), "{}", shown.notes);
}

#[tokio::test]
async fn local_inputs_are_uploaded() {
    let stack = Served::start().await;
    let first = json_of(&stack, &[&["submit", "x", "--wait"], &SMALL[..]].concat()).await;
    let photo = folder();
    let file = photo.0.join("photo.png");
    std::fs::write(&file, stored(&stack, &first["outputs"][0])).unwrap();
    let input = format!("init_images/0={}", file.display());
    let task = json_of(&stack, &["submit", "the same at night", "--input", &input, "--wait"]).await;
    assert_eq!((&task["status"], &task["type"]), (&json!("succeeded"), &json!("image-to-image")));

    let missing = run_at(&stack.url, &["submit", "x", "--input", "init_images/0=/gone.png", "--json"]).await;
    assert_eq!((missing.code, &missing.error()["exit_code"]), (2, &json!(2)));
}

#[tokio::test]
async fn workflows_run_with_fields_that_options_set() {
    let stack = Served::start().await;
    let target = folder();
    let workflow = json!({
        "1": { "class_type": "EmptyImage", "inputs": { "width": 8, "height": 8, "batch_size": 1, "color": 0 } },
        "2": { "class_type": "SaveImage", "inputs": { "filename_prefix": "x", "images": ["1", 0] } },
    });
    let file = target.0.join("workflow.json");
    std::fs::write(&file, workflow.to_string()).unwrap();
    let set = ["--set", "1/inputs/width=64", "--set", "1/inputs/height=32", "--wait"];
    let task = json_of(&stack, &[&["submit", "--workflow", file.to_str().unwrap()], &set[..]].concat()).await;
    let output = &task["outputs"][0];
    assert_eq!(
        (&task["runtime"], &output["width"], &output["height"]),
        (&json!("comfyui"), &json!(64), &json!(32))
    );

    let content = target.0.join("content.json");
    std::fs::write(&content, r#"{"prompt": "old", "width": 64, "height": 64}"#).unwrap();
    let context =
        ["--context", r#"{"order": 7}"#, "--type", "text-to-image", "--runtime", "sdruntime", "--wait"];
    let submit = ["submit", "new", "--content", content.to_str().unwrap()];
    let task = json_of(&stack, &[&submit[..], &context[..]].concat()).await;
    assert_eq!((&task["status"], &task["outputs"][0]["width"]), (&json!("succeeded"), &json!(64)));
}

#[tokio::test]
async fn a_wait_that_stops_leaves_the_task() {
    let stack = Served::start_with(&["--latency-ms", "600000"]).await;
    let variables = [("DARKROOM_ENDPOINT", stack.url.as_str()), ("DARKROOM_API_KEY", KEY)];
    let submitted = run_at(&stack.url, &[&["submit", "x"], &SMALL[..]].concat()).await;
    let id = submitted.printed[0].clone();
    has_status(&stack, &id, "running").await;

    let late = run_at(&stack.url, &["wait", &id, "--timeout", "1", "--json"]).await;
    assert_eq!((late.code, &late.error()["error"]["code"]), (6, &json!("wait_timeout")));

    let mut waiting = start(&[&["submit", "y", "--wait"], &SMALL[..]].concat(), &variables);
    let second = wait::until("the id of the second task", async || {
        waiting.lines_so_far().iter().find_map(|line| Some(line.split_once("submitted ")?.1.to_owned()))
    })
    .await;
    assert!(waiting.try_wait().is_none());
    waiting.signal("INT");
    let stopped = finished(waiting).await;
    assert_eq!(stopped.code, 130, "{}", stopped.notes);
    for hint in ["darkroom wait ", "darkroom cancel "] {
        assert!(stopped.notes.contains(&format!("{hint}{second}")), "{}", stopped.notes);
    }
    let task = json_of(&stack, &["get", &second]).await;
    assert_eq!((&task["cancel_requested"], &task["finished_at"]), (&json!(false), &Value::Null), "{task}");

    // One never runs, the other is interrupted.
    for id in [&second, &id] {
        json_of(&stack, &["cancel", id]).await;
        let canceled = run_at(&stack.url, &["wait", id, "--json"]).await;
        assert_eq!((canceled.code, &canceled.json()["status"]), (1, &json!("canceled")));
    }
    let fetched = run_at(&stack.url, &["fetch", &id]).await;
    assert_eq!(fetched.code, 1, "{}", fetched.notes);
}

#[tokio::test]
async fn a_failed_task_is_listed_and_submitted_again() {
    let simulation = Simulation::start_sdwebui(free_port(), SdWebUiOptions::default()).await.unwrap();
    let broken =
        Fault::Exception { node: None, kind: "RuntimeError".into(), message: "shapes differ".into() };
    simulation.faults().plan(broken, 1);
    let attached = format!("sdruntime=sdwebui:{}", simulation.url());
    let stack = Served::start_with(&["--runtime", &attached]).await;
    let failed = run_at(&stack.url, &[&["submit", "x", "--wait"], &SMALL[..]].concat()).await;
    assert_eq!(failed.code, 1, "{}", failed.notes);
    assert!(failed.printed.join("\n").contains("runtime_failed"), "{:?}", failed.printed);

    let list = json_of(&stack, &["list", "--status", "failed"]).await;
    let [task] = list["tasks"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!(task["error"]["code"], "runtime_failed");
    let id = task["id"].as_str().unwrap();
    let retries: Vec<Value> = [
        json_of(&stack, &["retry", id, "--idempotency-key", "again"]).await,
        json_of(&stack, &["retry", id, "--idempotency-key", "again"]).await,
    ]
    .into();
    let ids: BTreeSet<&str> = retries.iter().map(|task| task["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1, "one key is one retry");
    let retried = json_of(&stack, &["wait", retries[0]["id"].as_str().unwrap()]).await;
    assert_eq!((&retried["status"], &retried["retry_of"]), (&json!("succeeded"), &json!(id)));
}

#[tokio::test]
async fn runtimes_and_their_task_types_are_listed() {
    let stack = Served::start().await;
    let listed = json_of(&stack, &["runtimes"]).await;
    let names: Vec<&Value> =
        listed["runtimes"].as_array().unwrap().iter().map(|runtime| &runtime["name"]).collect();
    assert_eq!(names, ["sdruntime", "comfyui"]);
    let shown = run_at(&stack.url, &["runtimes"]).await.printed.join("\n");
    assert!(shown.contains("text-to-image") && shown.contains("pipeline"), "{shown}");
}
