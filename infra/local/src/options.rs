//! The command line of `local-stack`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;

use crate::runtimes::{Attached, RuntimeSpec};
use crate::stack::StackOptions;

/// Darkroom in one process: front door, S3, SNS, SQS, and a worker beside each (simulated) Stable Diffusion runtime.
#[derive(Debug, Clone, Parser)]
#[command(name = "local-stack", version)]
pub struct Options {
    /// Where the front door listens; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Where the AWS APIs listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:4566", value_name = "ADDRESS")]
    pub aws_listen: SocketAddr,
    /// Where buckets are kept, as folders and files.
    #[arg(long, default_value = "data", value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// The key that clients send as `x-api-key`; one is made up otherwise.
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// A real runtime, in place of the simulation of that name or beside the others: `NAME=TYPE:URL`, for example
    /// `sdruntime=sdwebui:http://127.0.0.1:7860` (repeatable).
    #[arg(long = "runtime", value_name = "NAME=TYPE:URL")]
    pub runtimes: Vec<Attachment>,
    /// How long a simulated runtime takes for a run, in milliseconds.
    #[arg(long, default_value_t = 1500, value_name = "MS")]
    pub latency_ms: u64,
    /// Submit one sample task per runtime, show the images, and exit.
    #[arg(long)]
    pub demo: bool,
}

/// One `--runtime`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment(RuntimeSpec);

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
        let known: Vec<&str> = worker::runtimes::REGISTRY.iter().map(|known| known.name).collect();
        if !known.contains(&runtime_type) {
            return Err(format!("the type of a runtime must be one of {}", known.join(", ")));
        }
        if url.trim_matches('/').is_empty() {
            return Err(form.to_owned());
        }
        Ok(Self(RuntimeSpec {
            name: name.to_owned(),
            runtime_type: runtime_type.to_owned(),
            attached: Attached::Real { url: url.to_owned() },
        }))
    }
}

impl Options {
    /// What to start.
    pub fn stack(&self) -> StackOptions {
        let mut runtimes = RuntimeSpec::simulated_defaults(self.latency_ms);
        for Attachment(spec) in &self.runtimes {
            match runtimes.iter_mut().find(|runtime| runtime.name == spec.name) {
                Some(replaced) => *replaced = spec.clone(),
                None => runtimes.push(spec.clone()),
            }
        }
        StackOptions {
            listen: self.listen,
            aws_listen: self.aws_listen,
            data_dir: self.data_dir.clone(),
            api_key: self.api_key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string()),
            runtimes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<StackOptions, clap::Error> {
        Options::try_parse_from(std::iter::once(&"local-stack").chain(arguments))
            .map(|options| options.stack())
    }

    #[test]
    fn a_real_runtime_takes_the_place_of_the_simulation_of_its_name() {
        let stack = parse(&[
            "--runtime",
            "comfyui=comfyui:http://127.0.0.1:8188",
            "--runtime",
            "second=sdwebui:127.0.0.1:7860",
        ])
        .unwrap();
        let names: Vec<&str> = stack.runtimes.iter().map(|runtime| runtime.name.as_str()).collect();
        assert_eq!(names, ["sdruntime", "comfyui", "second"]);
        assert_eq!(stack.runtimes[1].attached, Attached::Real { url: "http://127.0.0.1:8188".to_owned() });
    }

    #[test]
    fn a_bad_attachment_says_what_is_expected() {
        for bad in ["comfyui", "a=b", "a=fooocus:http://x", "a/b=comfyui:http://x", "a=comfyui:"] {
            assert!(parse(&["--runtime", bad]).is_err(), "{bad}");
        }
    }
}
