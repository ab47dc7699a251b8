//! What each failure is reported as, to people and to programs.

use serde_json::{Value, json};

use super::{Finished, finished, run_at, start};
use crate::served::{KEY, Served};

/// Exit code and code of an error.
fn outcome(finished: &Finished) -> (i32, Value) {
    assert_eq!(finished.printed, [""; 0], "errors are not on standard output");
    let error = finished.error();
    assert_eq!(error["exit_code"], finished.code);
    assert!(error["error"]["message"].is_string(), "{error}");
    (finished.code, error["error"]["code"].clone())
}

#[tokio::test]
async fn each_kind_of_failure_has_its_exit_code() {
    let stack = Served::start().await;
    let unreachable = "http://127.0.0.1:9";
    let of = async |url: &str, arguments: &[&str]| {
        outcome(&run_at(url, &[arguments, &["--json", "--retry-seconds", "0"]].concat()).await)
    };
    let unknown = "0199aaaa-0000-7000-8000-000000000000";
    assert_eq!(of(unreachable, &["get", unknown]).await, (3, json!("unreachable")));
    assert_eq!(of(&stack.url, &["get", unknown]).await, (4, json!("task_not_found")));
    assert_eq!(of(&stack.url, &["fetch", "../../v1/tasks"]).await, (4, json!("task_not_found")));
    assert_eq!(of(&stack.url, &["submit", "x", "--set", "steps=100000"]).await, (5, json!("invalid_task")));
    assert_eq!(of(&stack.url, &["list", "--status", "done"]).await, (5, json!("invalid_parameter")));
    assert_eq!(of(&stack.url, &["submit", "x", "--type", "video"]).await, (2, json!("usage")));
    assert_eq!(of("ftp://here", &["runtimes"]).await, (2, json!("usage")));
    assert_eq!(of(&stack.url, &["submit", "--content", "/gone.json"]).await, (2, json!("usage")));

    let wrong = [("DARKROOM_ENDPOINT", stack.url.as_str()), ("DARKROOM_API_KEY", "guessed")];
    assert_eq!(outcome(&finished(start(&["list", "--json"], &wrong)).await), (5, json!("forbidden")));

    let submit = ["submit", "x", "--set", "steps=1", "--idempotency-key", "k"];
    assert_eq!(run_at(&stack.url, &submit).await.code, 0);
    let other = ["submit", "y", "--idempotency-key", "k"];
    assert_eq!(of(&stack.url, &other).await, (5, json!("idempotency_key_reused")));
}

#[tokio::test]
async fn violations_are_shown_with_their_fields() {
    let stack = Served::start().await;
    let invalid = ["submit", "x", "--set", "steps=100000"];
    let shown = run_at(&stack.url, &invalid).await;
    assert!(shown.notes.contains("/content/steps"), "{}", shown.notes);
    let error = run_at(&stack.url, &[&invalid[..], &["--json"]].concat()).await.error();
    assert_eq!(error["error"]["violations"][0]["pointer"], "/content/steps");
    assert_eq!(error["error"]["status"], 400);
    assert!(error["error"]["request_id"].is_string(), "{error}");
}

#[tokio::test]
async fn wrong_arguments_are_usage_errors() {
    for arguments in
        [&[][..], &["paint"], &["submit"], &["submit", "x", "--set", "steps"], &["list", "--limit", "0"]]
    {
        let finished = finished(start(arguments, &[("DARKROOM_API_KEY", KEY)])).await;
        assert_eq!(finished.code, 2, "{arguments:?}");
        assert!(!finished.notes.contains(KEY) && !finished.printed.join("").contains(KEY));
    }
    let help = finished(start(&["--help"], &[("DARKROOM_API_KEY", KEY)])).await;
    assert_eq!((help.code, help.printed.join("\n").contains(KEY)), (0, false));
}

#[tokio::test]
async fn shells_get_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = finished(start(&["completions", shell], &[])).await;
        let text = script.printed.join("\n");
        assert_eq!(script.code, 0);
        for word in ["submit", "idempotency-key", "runtimes"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
}
