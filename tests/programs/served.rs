//! `local-stack` as a process: started, watched and used.

use std::path::{Path, PathBuf};

use integration_tests::process::Process;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

pub(crate) const KEY: &str = "a key for tests";

/// A folder for one stack's data, deleted in the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("darkroom-test-{}", uuid::Uuid::new_v4().simple())))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts the program on free ports.
pub(crate) fn start(folder: &Folder, more: &[&str]) -> Process {
    let mut arguments = vec!["--listen", "127.0.0.1:0", "--aws-listen", "127.0.0.1:0"];
    if !more.contains(&"--latency-ms") {
        arguments.extend(["--latency-ms", "50"]);
    }
    arguments.extend(["--data-dir", folder.path()]);
    arguments.extend(more);
    Process::start_with("local-stack", &arguments, &[])
}

/// A stack that serves.
pub(crate) struct Served {
    pub(crate) process: Process,
    pub(crate) folder: Folder,
    pub(crate) url: String,
    pub(crate) aws_url: String,
    pub(crate) client: Client,
}

impl Served {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further options.
    pub(crate) async fn start_with(more: &[&str]) -> Self {
        Self::start_in(Folder::new(), more).await
    }

    /// The same on a folder that another stack may have used.
    pub(crate) async fn start_in(folder: Folder, more: &[&str]) -> Self {
        // This test's own HTTP client wants a TLS provider, though nothing here uses TLS.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut process = start(&folder, &[&["--api-key", KEY], more].concat());
        let mut url = async |label: &str| {
            let find =
                |line: &str| line.trim().strip_prefix(label)?.split_whitespace().next().map(str::to_owned);
            process.wait_for_output(label, find).await
        };
        let (url, aws_url) = (url("front door").await, url("aws apis").await);
        Self { process, folder, url, aws_url, client: Client::builder().no_proxy().build().unwrap() }
    }

    /// Waits until a task has succeeded, and returns its image.
    pub(crate) async fn image(&mut self, id: &str) -> PathBuf {
        self.process
            .wait_for_output(&format!("the success of {id}"), |line| {
                line.contains(&format!("succeeded  {id}")).then_some(())
            })
            .await;
        let folder = format!("-output/output/{id}/");
        let path = |line: &str| line.contains(&folder).then(|| PathBuf::from(line.trim()));
        self.process.wait_for_output(&format!("the image of {id}"), path).await
    }

    /// Posts a body with the key.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).header("x-api-key", KEY).json(body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Gets a resource with the key.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = self.client.get(format!("{}{path}", self.url)).header("x-api-key", KEY);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Submits an ordinary task.
    pub(crate) async fn submit(&self, id: &str) {
        let metadata =
            json!({ "id": id, "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output" });
        let content = json!({ "prompt": "x", "width": 64, "height": 64 });
        let task = json!({ "task": { "metadata": metadata, "content": content } });
        assert_eq!(self.post("/v1alpha2", &task).await.0, StatusCode::OK);
    }
}

/// The paths that a demo printed.
pub(crate) fn images(demo: &Process) -> Vec<PathBuf> {
    demo.printed()
        .iter()
        .map(|line| PathBuf::from(line.trim()))
        .filter(|path| path.extension().is_some())
        .filter(|path| path.is_file())
        .collect()
}

/// Width and height of a PNG.
pub(crate) fn png_size(path: &Path) -> (usize, usize) {
    assert!(path.extension().is_some_and(|extension| extension == "png"), "{}", path.display());
    let size = imagesize::size(path).unwrap();
    (size.width, size.height)
}
