//! The profile file, and what comes before it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use integration_tests::lab::free_port;
use serde_json::json;

use super::{Finished, finished, folder, start};
use crate::served::Folder;

/// A front door without runtimes, and the keys that it was sent.
async fn recorder() -> (String, Arc<Mutex<Vec<String>>>) {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let record = async move |headers: HeaderMap| {
        let key = headers.get("x-api-key").map(|key| key.to_str().unwrap().to_owned());
        seen.lock().unwrap().push(key.unwrap_or_default());
        axum::Json(json!({ "runtimes": [] })).into_response()
    };
    let listener = tokio::net::TcpListener::bind(free_port()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(record)).await });
    (url, keys)
}

/// A home with that profile file.
fn home(text: &str, mode: u32) -> Folder {
    let home = folder();
    let file = home.0.join(".config/darkroom/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    home
}

async fn runtimes(home: &Folder, variables: &[(&str, &str)], options: &[&str]) -> Finished {
    let variables = [&[("HOME", home.path())], variables].concat();
    finished(start(&[&["runtimes", "--retry-seconds", "0"], options].concat(), &variables)).await
}

#[tokio::test]
async fn options_come_before_variables_and_variables_before_the_profile() {
    let (url, keys) = recorder().await;
    let (other, others_keys) = recorder().await;
    let text = format!(
        "default = 'first'\n[profiles.first]\nendpoint = '{url}'\napi_key = 'of-first'\n\
         [profiles.second]\nendpoint = '{other}/stage/'\napi_key = 'of-second'\n"
    );
    let home = home(&text, 0o600);
    let variables = [("DARKROOM_API_KEY", "of-variable")];
    for (variables, options) in
        [(&[][..], &[][..]), (&variables[..], &[]), (&variables[..], &["--api-key", "of-option"])]
    {
        assert_eq!(runtimes(&home, variables, options).await.code, 0);
    }
    assert_eq!(*keys.lock().unwrap(), ["of-first", "of-variable", "of-option"]);

    runtimes(&home, &[("DARKROOM_PROFILE", "second")], &[]).await;
    runtimes(&home, &[("DARKROOM_PROFILE", "first")], &["--profile", "second"]).await;
    // The key of a profile is for its endpoint only.
    runtimes(&home, &[("DARKROOM_ENDPOINT", &other)], &[]).await;
    runtimes(&home, &[], &["--endpoint", &other]).await;
    assert_eq!(*others_keys.lock().unwrap(), ["of-second", "of-second", "", ""]);
}

#[tokio::test]
async fn a_file_that_others_can_read_or_change_is_refused() {
    let (url, keys) = recorder().await;
    let text = format!("[profiles.default]\nendpoint = '{url}'\napi_key = 'secret'\n");
    for (mode, code, word) in
        [(0o644, 2, "read"), (0o622, 2, "change"), (0o640, 0, "warning"), (0o600, 0, "")]
    {
        let finished = runtimes(&home(&text, mode), &[], &[]).await;
        assert_eq!(finished.code, code, "{mode:o}: {}", finished.notes);
        assert!(finished.notes.contains(word) && !finished.notes.contains("secret"), "{}", finished.notes);
    }
    assert_eq!(keys.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn invalid_files_are_named_without_their_keys() {
    for (text, hint) in [
        ("[profiles.default]\napi-key = 'secret'\n", "line 2"),
        ("[profiles]\ndefault = 'secret'\n", "line 2"),
        ("[profiles.default]\napi_key = 'secret\n", "line 2"),
        ("default = 'gone'\n", "gone"),
    ] {
        let finished = runtimes(&home(text, 0o600), &[], &[]).await;
        assert_eq!(finished.code, 2, "{text}");
        assert!(
            finished.notes.contains(hint) && finished.notes.contains("config.toml"),
            "{}",
            finished.notes
        );
        assert!(!finished.notes.contains("secret"), "{}", finished.notes);
    }
    let missing = runtimes(&folder(), &[("DARKROOM_CONFIG", "/gone.toml")], &[]).await;
    assert_eq!((missing.code, missing.notes.contains("/gone.toml")), (2, true));
}
