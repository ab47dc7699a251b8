//! Replays recorded traffic of real runtimes against the simulations, over real HTTP and WebSocket.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod a1111;
mod comfyui;
mod compare;
mod openai_images;
mod sdcpp;
mod sdwebui;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde_json::Value;

/// One recording, such as `sdwebui/txt2img`.
fn recording(name: &str) -> Value {
    let path = fixtures().join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// Names of all recordings of one runtime.
fn recordings(runtime: &str) -> Vec<String> {
    let files = std::fs::read_dir(fixtures().join(runtime)).unwrap();
    let mut names: Vec<_> = files
        .filter_map(|file| Some(file.unwrap().file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    names
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn client() -> reqwest::Client {
    // Fails only if another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Waits until `condition` holds, for at most half a minute.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap();
}
