//! The output of the stack: its addresses, and each task when it starts and when it completes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use deployment_config::Subscriptions;
use deployment_config::sample::{SampleOptions, sample};
use serde_json::Value;
use shared_schema::Notification;
use shared_schema::printable::printable;

use crate::Error;
use crate::demo::PREFIX;
use crate::provision;
use crate::stack::Stack;

/// The queue that the console reads completions from, after the prefix; others subscribe queues of their own. No runtime has
/// this name: names of runtimes have no underscores.
const QUEUE: &str = "_console";

/// How long one poll of the console waits, in seconds.
const POLL_SECONDS: i32 = 20;

/// Prints one line. Nothing else in the stack writes to standard output.
#[expect(clippy::print_stdout, reason = "this is the program's user interface")]
pub fn print_line(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Prints all addresses, and a `curl` command that submits a task.
pub fn print_startup(stack: &Stack, data_dir: &Path) {
    print_line("Darkroom is up.\n");
    print_line(format_args!("  front door  {}   x-api-key: {}", stack.url, stack.api_key));
    print_line(format_args!("  console     {}/console", stack.url));
    print_line(format_args!("  aws apis    {}   any credentials, region us-east-1", stack.aws.url()));
    print_line(format_args!("  results     {}", stack.bucket_folder(data_dir).display()));
    for runtime in &stack.runtimes {
        let kind = if runtime.simulation.is_some() { "simulated " } else { "" };
        let deployed = &runtime.deployed;
        print_line(format_args!(
            "  runtime     {} ({kind}{} at {})",
            deployed.name, deployed.runtime_type, runtime.url
        ));
    }
    subscriptions(stack);
    for (queue, messages) in &stack.restored {
        print_line(format_args!("  restored    {messages} messages in {queue}"));
    }
    let names = stack.runtimes.iter().map(|runtime| &runtime.deployed.name);
    let (id, prefix) = ("my-first-task".to_owned(), PREFIX.to_owned());
    let options = SampleOptions { id, prefix, ..SampleOptions::default() };
    let mut samples = names.map(|name| sample(&stack.registry, name, &options));
    if let Some(sample) = samples.find_map(Result::ok) {
        print_line("\nSubmit a task:\n");
        print_line(format_args!(
            "  curl -s {}/v1alpha2 -H 'x-api-key: {}' -d '{}'\n",
            stack.url, stack.api_key, sample.body
        ));
        print_line("or, with a progress bar:\n");
        print_line(format_args!(
            "  DARKROOM_ENDPOINT={} DARKROOM_API_KEY='{}' cargo run -p darkroom-cli -- submit \"a lighthouse\" --wait\n",
            stack.url, stack.api_key
        ));
    }
}

/// Prints the messages that the next process restores.
pub fn print_shutdown(data_dir: &Path, stored: &[(String, usize)]) {
    for (queue, messages) in stored {
        print_line(format_args!(
            "  stored      {messages} messages in {queue}, below {}",
            data_dir.display()
        ));
    }
}

/// Prints the subscribers to results, and those of the deployment's file that this stack does not notify.
fn subscriptions(stack: &Stack) {
    let prefix = &stack.shared.prefix;
    for queue in &stack.subscriptions.queues {
        print_line(format_args!("  notified    {prefix}-results-{queue} (SQS queue)"));
    }
    let Subscriptions { emails, webhooks, .. } = &stack.subscriptions;
    for address in emails.iter().chain(webhooks) {
        print_line(format_args!("  skipped     {address}: this stack sends nothing to external addresses"));
    }
}

/// The completions of the stack, in the order they arrive.
#[derive(Debug)]
pub struct Completions {
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
    seen: HashSet<uuid::Uuid>,
}

/// A notification of the completion topic.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A task started.
    Running(Value),
    /// A task succeeded or failed.
    Completed(Box<Notification>),
}

impl Completions {
    /// Subscribes to the tasks that complete from now on.
    pub async fn subscribe(stack: &Stack) -> Result<Self, Error> {
        let queue_url = provision::completion_queue(&stack.clients, &stack.shared, QUEUE).await?;
        Ok(Self { sqs: stack.clients.sqs.clone(), queue_url, seen: HashSet::new() })
    }

    /// Waits for the next event. A notification that is delivered twice is one event.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            let poll = self.sqs.receive_message().queue_url(&self.queue_url).wait_time_seconds(POLL_SECONDS);
            let answer =
                poll.max_number_of_messages(1).send().await.context("completions cannot be received")?;
            let Some(message) = answer.messages.unwrap_or_default().pop() else { continue };
            let handle = message.receipt_handle.unwrap_or_default();
            let delete = self.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(handle);
            delete.send().await.context("a completion cannot be deleted")?;

            match event(message.body.as_deref().unwrap_or_default()) {
                Ok(Event::Completed(completed)) if !self.seen.insert(completed.notification_id) => {}
                Ok(event) => return Ok(event),
                // Users can publish to the topic, too.
                Err(error) => tracing::warn!(%error, "message in the completion topic is no notification"),
            }
        }
    }
}

fn event(body: &str) -> Result<Event, serde_json::Error> {
    let body: Value = serde_json::from_str(body)?;
    if body["status"] == "running" {
        return Ok(Event::Running(body["id"].clone()));
    }
    serde_json::from_value(body).map(|completed| Event::Completed(Box::new(completed)))
}

/// Prints an event.
pub fn report(stack: &Stack, data_dir: &Path, event: &Event) {
    match event {
        Event::Running(id) => print_line(format_args!("  running    {}", printable(&plain(id)))),
        Event::Completed(notification) if notification.result => {
            let id = printable(notification.id.as_str());
            print_line(format_args!("  succeeded  {id} in {} ms", notification.timings.run_ms));
            for path in files(stack, data_dir, notification) {
                print_line(format_args!("             {}", printable(&path.display().to_string())));
            }
        }
        Event::Completed(notification) => {
            let error = notification.error.as_ref();
            let code = error.map_or("unknown", |error| error.code.as_str());
            let message = error.map_or("", |error| error.message.as_str());
            let id = printable(notification.id.as_str());
            print_line(format_args!("  failed     {id}: {code}: {}", printable(message)));
        }
    }
}

/// The paths of the output files of a task.
pub fn files(stack: &Stack, data_dir: &Path, notification: &Notification) -> Vec<PathBuf> {
    let bucket = format!("s3://{}/", stack.shared.bucket);
    let keys = notification.image_url.iter().filter_map(|uri| uri.strip_prefix(&bucket));
    keys.map(|key| crate::aws::object_path(data_dir, &stack.shared.bucket, key)).collect()
}

fn plain(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}
