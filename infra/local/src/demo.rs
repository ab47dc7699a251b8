//! `--demo`: submits one sample task per runtime to the front door, and checks the images.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use deployment_config::sample::{SampleOptions, SampleTask, sample};
use serde_json::Value;
use shared_schema::{Notification, runtimes};

use crate::Error;
use crate::console::{self, Completions, Event, print_line};
use crate::runtimes::Running;
use crate::stack::Stack;

/// How long the demo waits for all of its tasks: a real runtime may have to load its model first.
const TIMEOUT: Duration = Duration::from_secs(900);

/// The prefix of the results of samples.
pub(crate) const PREFIX: &str = "output";

/// Runs the demo.
///
/// # Errors
///
/// When a task is not accepted, fails, or does not yield a valid image of the size it asked for.
pub async fn run(stack: &Stack, data_dir: &Path, completions: &mut Completions) -> Result<(), Error> {
    Ok(submit_and_check(stack, data_dir, completions).await?)
}

async fn submit_and_check(
    stack: &Stack,
    data_dir: &Path,
    completions: &mut Completions,
) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut waiting: HashMap<String, SampleTask> = HashMap::new();
    for runtime in &stack.runtimes {
        let name = &runtime.deployed.name;
        let id = format!("demo-{name}");
        let model = first_checkpoint(&client, runtime).await;
        let options = SampleOptions { id: id.clone(), prefix: PREFIX.to_owned(), model, prompt: None };
        let task = match sample(&stack.registry, name, &options) {
            Ok(task) => task,
            Err(reason) => {
                print_line(format_args!("  skipped    {reason}"));
                continue;
            }
        };
        submit(&client, stack, &task.body).await?;
        print_line(format_args!("  submitted  {id} to {name}"));
        waiting.insert(id, task);
    }
    ensure!(!waiting.is_empty(), "no runtime accepts any of the samples");
    let completed = async {
        while !waiting.is_empty() {
            let event = completions.next().await?;
            console::report(stack, data_dir, &event);
            if let Event::Completed(notification) = event
                && let Some(sample) = waiting.remove(notification.id.as_str())
            {
                check(stack, data_dir, &client, &notification, sample.size).await?;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(TIMEOUT, completed).await.context("the demo's tasks did not complete in time")?
}

async fn submit(client: &reqwest::Client, stack: &Stack, body: &Value) -> anyhow::Result<()> {
    let request =
        client.post(format!("{}/v1alpha2", stack.url)).header("x-api-key", &stack.api_key).json(body);
    let answer = request.send().await.context("the front door does not respond")?;
    let status = answer.status();
    ensure!(
        status.is_success(),
        "the front door answered {status}: {}",
        answer.text().await.unwrap_or_default()
    );
    Ok(())
}

/// The first checkpoint of a runtime whose tasks have to name one.
async fn first_checkpoint(client: &reqwest::Client, runtime: &Running) -> Option<String> {
    let model_list = runtimes::by_name(&runtime.deployed.runtime_type)?.model_list()?;
    let url = &runtime.url;
    let url = if url.contains("://") { url.clone() } else { format!("http://{url}") };
    let url = format!("{}/{model_list}", url.trim_end_matches('/'));
    let answer = client.get(url).timeout(Duration::from_secs(5)).send().await.ok()?;
    answer.json::<Vec<String>>().await.ok()?.into_iter().next()
}

/// The image must exist as a file, be served by its presigned URL, and be valid with the requested size.
async fn check(
    stack: &Stack,
    data_dir: &Path,
    client: &reqwest::Client,
    notification: &Notification,
    (width, height): (u32, u32),
) -> anyhow::Result<()> {
    let id = &notification.id;
    ensure!(notification.result, "task {id} failed");
    let files = console::files(stack, data_dir, notification);
    ensure!(!files.is_empty(), "task {id} yielded no image");
    for (file, output) in files.iter().zip(&notification.outputs) {
        let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let size = imagesize::blob_size(&bytes).with_context(|| format!("{} is no image", file.display()))?;
        ensure!(
            (size.width, size.height) == (width as usize, height as usize),
            "{} has {}x{} pixels, not {width}x{height}",
            file.display(),
            size.width,
            size.height
        );
        if output.content_type == "image/png" {
            decode_png(&bytes).with_context(|| format!("{} is damaged", file.display()))?;
        }
        let Some(url) = &output.url else { bail!("task {id} has no presigned URL") };
        let fetched = client.get(url).send().await?.error_for_status()?.bytes().await?;
        ensure!(fetched == bytes, "the presigned URL of task {id} yields other bytes than the file");
    }
    Ok(())
}

/// Decodes every pixel: a truncated or damaged file fails.
fn decode_png(bytes: &[u8]) -> anyhow::Result<()> {
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().context("the image is too large")?];
    reader.next_frame(&mut pixels)?;
    Ok(())
}
