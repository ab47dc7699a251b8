//! The command line of `local-stack`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use deployment_config::{Checked, Runtime};

use crate::Error;
use crate::config;
use crate::stack::StackOptions;

/// Darkroom in one process: front door, DynamoDB, S3, SNS, SQS, and a worker beside each (simulated) Stable Diffusion runtime.
#[derive(Debug, Clone, Parser)]
#[command(name = "local-stack", version)]
pub struct Options {
    /// Where the front door listens; port 0 selects a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Where the AWS APIs listen; port 0 selects a free one.
    #[arg(long, default_value = "127.0.0.1:4566", value_name = "ADDRESS")]
    pub aws_listen: SocketAddr,
    /// The folder that stores buckets, as folders and files.
    #[arg(long, default_value = "data", value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// The file of a deployment, such as `infra/config.yaml`: its runtimes run here, instead of one of each type.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The key that clients send as `x-api-key`; generated if absent.
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// A real runtime, in place of the simulation of that name or beside the others: `NAME=TYPE:URL`, for example
    /// `sdruntime=sdwebui:http://127.0.0.1:7860` (repeatable).
    #[arg(long = "runtime", value_name = "NAME=TYPE:URL")]
    pub runtimes: Vec<Attachment>,
    /// The duration of a simulated run, in milliseconds.
    #[arg(long, default_value_t = 1500, value_name = "MS")]
    pub latency_ms: u64,
    /// Submit one sample task per runtime, show the images, and exit.
    #[arg(long)]
    pub demo: bool,
}

/// One `--runtime`: a real server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    name: String,
    runtime_type: String,
    url: String,
}

impl FromStr for Attachment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "must be NAME=TYPE:URL, for example comfyui=comfyui:http://127.0.0.1:8188";
        let (name, rest) = text.split_once('=').ok_or(form)?;
        let (runtime_type, url) = rest.split_once(':').ok_or(form)?;
        let sane_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !sane_name {
            return Err(
                "the name of a runtime has letters, digits, `-` and `_` only, as it names a queue".to_owned()
            );
        }
        let known: Vec<&str> = worker::runtimes::REGISTRY.iter().map(|known| known.name()).collect();
        if !known.contains(&runtime_type) {
            return Err(format!("the type of a runtime must be one of {}", known.join(", ")));
        }
        if url.trim_matches('/').is_empty() {
            return Err(form.to_owned());
        }
        Ok(Self { name: name.to_owned(), runtime_type: runtime_type.to_owned(), url: url.to_owned() })
    }
}

impl Options {
    /// What to start.
    ///
    /// # Errors
    ///
    /// When the file cannot be deployed, or contradicts a `--runtime`.
    pub fn stack(&self) -> Result<StackOptions, Error> {
        Ok(self.checked()?)
    }

    fn checked(&self) -> anyhow::Result<StackOptions> {
        let mut config = match &self.config {
            Some(file) => Checked::load(file)?.config,
            None => config::built_in()?,
        };
        let mut attached = HashMap::new();
        for Attachment { name, runtime_type, url } in &self.runtimes {
            let unlisted = Runtime::unlisted(name, runtime_type)?;
            match config.runtimes.iter_mut().find(|runtime| runtime.name == *name) {
                // The settings of the file apply to the real one, too.
                Some(listed) if self.config.is_some() => ensure!(
                    listed.runtime_type == *runtime_type,
                    "--runtime {name} is of the type {runtime_type}, in the file of the type {}",
                    listed.runtime_type
                ),
                Some(replaced) => *replaced = unlisted,
                None => config.runtimes.push(unlisted),
            }
            attached.insert(name.clone(), url.clone());
        }
        Ok(StackOptions {
            listen: self.listen,
            aws_listen: self.aws_listen,
            data_dir: self.data_dir.clone(),
            api_key: self.api_key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string()),
            config,
            attached,
            latency: Duration::from_millis(self.latency_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> anyhow::Result<StackOptions> {
        Options::try_parse_from(std::iter::once(&"local-stack").chain(arguments))?.checked()
    }

    fn names(stack: &StackOptions) -> Vec<&str> {
        stack.config.runtimes.iter().map(|runtime| runtime.name.as_str()).collect()
    }

    #[test]
    fn a_real_runtime_replaces_the_simulation_of_its_name() {
        let stack = parse(&[
            "--runtime",
            "sdruntime=sdwebui:http://127.0.0.1:7860",
            "--runtime",
            "second=comfyui:127.0.0.1:8188",
        ])
        .unwrap();
        assert_eq!(names(&stack), ["sdruntime", "comfyui", "second"]);
        assert_eq!(stack.attached["sdruntime"], "http://127.0.0.1:7860");
        assert_eq!(stack.config.runtimes[0].served_models(), [""; 0], "the models of a real one are unknown");
    }

    #[test]
    fn the_settings_of_a_file_apply_to_the_real_runtime() {
        let minimal = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/minimal.yaml");
        let with = |runtime: &str| parse(&["--config", minimal, "--runtime", runtime]);
        let stack = with("sdruntime=sdwebui:http://127.0.0.1:7860").unwrap();
        assert_eq!(stack.config, Checked::load(minimal.as_ref()).unwrap().config);
        assert_eq!(names(&with("second=comfyui:127.0.0.1:8188").unwrap()), ["sdruntime", "second"]);
        let error = with("sdruntime=comfyui:http://127.0.0.1:8188").unwrap_err().to_string();
        assert_eq!(error, "--runtime sdruntime is of the type comfyui, in the file of the type sdwebui");
    }

    #[test]
    fn an_invalid_attachment_is_refused() {
        for bad in ["comfyui", "a=b", "a=fooocus:http://x", "a/b=comfyui:http://x", "a=comfyui:"] {
            assert!(parse(&["--runtime", bad]).is_err(), "{bad}");
        }
    }
}
