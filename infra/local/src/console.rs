//! What a person sees of the stack: where things are, and each task as it begins and ends.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use deployment_config::Subscriptions;
use deployment_config::sample::{Wishes, sample};
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

/// Prints one line. The only place of the stack that writes to standard output.
#[expect(clippy::print_stdout, reason = "this is the program's user interface")]
pub fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Says where everything is, with a `curl` line that works when pasted.
pub fn welcome(stack: &Stack, data_dir: &Path) {
    say("Darkroom is up.\n");
    say(format_args!("  front door  {}   x-api-key: {}", stack.url, stack.api_key));
    say(format_args!("  aws apis    {}   any credentials, region us-east-1", stack.aws.url()));
    say(format_args!("  results     {}", stack.bucket_folder(data_dir).display()));
    for runtime in &stack.runtimes {
        let kind = if runtime.simulation.is_some() { "simulated " } else { "" };
        let deployed = &runtime.deployed;
        say(format_args!(
            "  runtime     {} ({kind}{} at {})",
            deployed.name, deployed.runtime_type, runtime.url
        ));
    }
    subscriptions(stack);
    for (queue, messages) in &stack.restored {
        say(format_args!("  restored    {messages} messages in {queue}"));
    }
    let names = stack.runtimes.iter().map(|runtime| &runtime.deployed.name);
    let (id, prefix) = ("my-first-task".to_owned(), PREFIX.to_owned());
    let wishes = Wishes { id, prefix, ..Wishes::default() };
    let mut samples = names.map(|name| sample(&stack.registry, name, &wishes));
    if let Some(sample) = samples.find_map(Result::ok) {
        say("\nSubmit a task:\n");
        say(format_args!(
            "  curl -s {}/v1alpha2 -H 'x-api-key: {}' -d '{}'\n",
            stack.url, stack.api_key, sample.body
        ));
    }
}

/// What stays for the next process, said when the stack has stopped.
pub fn farewell(data_dir: &Path, kept: &[(String, usize)]) {
    for (queue, messages) in kept {
        say(format_args!("  kept        {messages} messages in {queue}, below {}", data_dir.display()));
    }
}

/// Who hears of results, and who does not although the deployment's file says so.
fn subscriptions(stack: &Stack) {
    let prefix = &stack.shared.prefix;
    for queue in &stack.subscriptions.queues {
        say(format_args!("  told        {prefix}-results-{queue} (SQS queue)"));
    }
    let Subscriptions { emails, webhooks, .. } = &stack.subscriptions;
    for untold in emails.iter().chain(webhooks) {
        say(format_args!("  not told    {untold}: this stack sends nothing to others' addresses"));
    }
}

/// The completions of the stack, in the order they arrive.
#[derive(Debug)]
pub struct Completions {
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
    seen: HashSet<uuid::Uuid>,
}

/// What the completion topic told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A task began to run.
    Running(Value),
    /// A task ended.
    Ended(Box<Notification>),
}

impl Completions {
    /// Subscribes to everything that is completed from now on.
    pub async fn subscribe(stack: &Stack) -> Result<Self, Error> {
        let queue_url = provision::completion_queue(&stack.clients, &stack.shared, QUEUE).await?;
        Ok(Self { sqs: stack.clients.sqs.clone(), queue_url, seen: HashSet::new() })
    }

    /// Waits for the next event. A completion that is told twice is one event.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            let poll = self.sqs.receive_message().queue_url(&self.queue_url).wait_time_seconds(POLL_SECONDS);
            let answer =
                poll.max_number_of_messages(1).send().await.context("completions cannot be received")?;
            let Some(message) = answer.messages.unwrap_or_default().pop() else { continue };
            let handle = message.receipt_handle.unwrap_or_default();
            let delete = self.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(handle);
            delete.send().await.context("a completion cannot be deleted")?;

            let body = message.body.as_deref().unwrap_or_default();
            let body: Value = serde_json::from_str(body).context("a completion is not JSON")?;
            if body["status"] == "running" {
                return Ok(Event::Running(body["id"].clone()));
            }
            let ended: Notification =
                serde_json::from_value(body).context("a completion is no notification")?;
            if self.seen.insert(ended.notification_id) {
                return Ok(Event::Ended(Box::new(ended)));
            }
        }
    }
}

/// One line about an event.
pub fn report(stack: &Stack, data_dir: &Path, event: &Event) {
    match event {
        Event::Running(id) => say(format_args!("  running    {}", printable(&plain(id)))),
        Event::Ended(ended) if ended.result => {
            let id = printable(ended.id.as_str());
            say(format_args!("  succeeded  {id} in {} ms", ended.timings.run_ms));
            for path in files(stack, data_dir, ended) {
                say(format_args!("             {}", printable(&path.display().to_string())));
            }
        }
        Event::Ended(ended) => {
            let error = ended.error.as_ref();
            let code = error.map_or("unknown", |error| error.code.as_str());
            let message = error.map_or("", |error| error.message.as_str());
            let id = printable(ended.id.as_str());
            say(format_args!("  failed     {id}: {code}: {}", printable(message)));
        }
    }
}

/// Where the files of a task are on this machine.
pub fn files(stack: &Stack, data_dir: &Path, ended: &Notification) -> Vec<PathBuf> {
    let bucket = format!("s3://{}/", stack.shared.bucket);
    let keys = ended.image_url.iter().filter_map(|uri| uri.strip_prefix(&bucket));
    keys.map(|key| crate::aws::object_path(data_dir, &stack.shared.bucket, key)).collect()
}

fn plain(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}
