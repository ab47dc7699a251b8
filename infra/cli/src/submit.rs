//! `darkroom submit`: the content, its inputs, and one POST that can be repeated.

use std::path::PathBuf;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{Answer, Api, Call, Task};
use crate::content::{self, Field, Source};
use crate::error::Error;
use crate::target::Target;
use crate::upload::upload;
use crate::{output, wait};

#[derive(Debug, Args)]
pub(crate) struct SubmitArguments {
    #[command(flatten)]
    work: Work,
    /// Your name for the task, part of the names of its files; its id if absent.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The beginning of the S3 keys of its files.
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// A label to find the task by (repeatable).
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<Field>,
    /// JSON that the notification returns unchanged.
    #[arg(long, value_name = "JSON")]
    context: Option<Value>,
    /// The task expires if it has not started then (RFC 3339).
    #[arg(long, value_name = "TIME")]
    start_by: Option<String>,
    /// The longest that the run may take, in seconds.
    #[arg(long, value_name = "SECONDS")]
    run_timeout: Option<u32>,
    /// The same key never submits a second task, for 24 hours; a new one for each command if absent.
    #[arg(long, value_name = "TEXT")]
    idempotency_key: Option<String>,
    /// Wait until the task has finished, and show it.
    #[arg(long)]
    wait: bool,
}

/// What a task is: its content, and the runtime for it.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// The prompt; with --content it replaces the prompt of the file.
    #[arg(required_unless_present_any = ["content", "workflow"], conflicts_with = "workflow")]
    prompt: Option<String>,
    /// A file with the content as JSON, or `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "workflow")]
    content: Option<PathBuf>,
    /// A workflow of ComfyUI in API format, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    workflow: Option<PathBuf>,
    /// Set a field of the content, for example `steps=20` or `6/inputs/text="a harbour"` (repeatable).
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<Field>,
    /// Upload a local file and set a field to its address, for example `init_images/0=photo.png` (repeatable).
    #[arg(long, value_name = "FIELD=FILE")]
    input: Vec<Field>,
    #[command(flatten)]
    place: Place,
}

/// Which runtime does which kind of work.
#[derive(Debug, Clone, Args)]
struct Place {
    /// The runtime; if absent, that of the profile, or the only one that accepts the type.
    #[arg(long, env = "DARKROOM_RUNTIME", value_name = "NAME")]
    runtime: Option<String>,
    /// The task type, such as text-to-image; if absent, it follows from the content.
    #[arg(long = "type", value_name = "TYPE")]
    task_type: Option<String>,
}

pub(crate) async fn run(
    api: &Api,
    target: &Target,
    arguments: &SubmitArguments,
    json: bool,
) -> Result<(), Error> {
    let body = body(api, target, arguments).await?;
    let key = arguments.idempotency_key.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    let submitted = submit(api, &body, &key).await?;
    if arguments.wait {
        let id = submitted.value.id;
        if !json {
            output::note(&format!("submitted {id}"));
        }
        return wait::until_finished(api, &id, None, json).await;
    }
    if json {
        output::json(&submitted.json)?;
    } else {
        output::line(&submitted.value.id)?;
    }
    Ok(())
}

/// Posts a task. The same body with the same key is one task, however often it is sent.
pub(crate) async fn submit(api: &Api, body: &Value, key: &str) -> Result<Answer<Task>, Error> {
    let call = Call { body: Some(body), idempotency_key: Some(key), ..Call::new(Method::POST, &["tasks"]) };
    Ok(api.send(&call).await?)
}

async fn body(api: &Api, target: &Target, arguments: &SubmitArguments) -> Result<Value, Error> {
    let mut body = arguments.work.body(api, target).await?;
    let optional = [
        ("name", arguments.name.clone().map(Value::from)),
        ("prefix", arguments.prefix.clone().map(Value::from)),
        ("context", arguments.context.clone()),
        ("start_by", arguments.start_by.clone().map(Value::from)),
        ("run_timeout", arguments.run_timeout.map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    for Field { path, value } in &arguments.label {
        body["labels"][path] = json!(value);
    }
    Ok(body)
}

impl Work {
    /// The body of a submission, after its inputs have been uploaded.
    pub(crate) async fn body(&self, api: &Api, target: &Target) -> Result<Value, Error> {
        let file = self.content.as_ref().or(self.workflow.as_ref());
        let mut content = Source { prompt: self.prompt.as_deref(), file, fields: &self.set }.read()?;
        // Before anything is uploaded: the type can depend on the fields.
        for Field { path, .. } in &self.input {
            content::set(&mut content, path, Value::Null)?;
        }
        let (runtime, task_type) = self.place.resolve(api, target, &content).await?;
        for Field { path, value } in &self.input {
            let address = upload(api, value.as_ref()).await?;
            content::set(&mut content, path, json!(address))?;
        }
        Ok(json!({ "runtime": runtime, "type": task_type, "content": content }))
    }
}

impl Place {
    /// The runtime and the task type of that content.
    async fn resolve(&self, api: &Api, target: &Target, content: &Value) -> Result<(String, String), Error> {
        let task_type = self.task_type.clone().unwrap_or_else(|| content::task_type(content).to_owned());
        if let Some(named) = self.runtime.as_ref().or(target.profile.runtime.as_ref()) {
            return Ok((named.clone(), task_type));
        }
        let runtimes = api.runtimes().await?.value;
        let fitting: Vec<&str> = runtimes
            .iter()
            .filter(|runtime| runtime.accepts(&task_type))
            .map(|runtime| runtime.name.as_str())
            .collect();
        match fitting.as_slice() {
            [one] => Ok(((*one).to_owned(), task_type)),
            [] => Err(Error::Usage(format!(
                "no runtime is known to accept {task_type}; name one with --runtime"
            ))),
            several => {
                let names = several.join(", ");
                Err(Error::Usage(format!(
                    "several runtimes accept {task_type}: choose with --runtime from {names}"
                )))
            }
        }
    }
}
