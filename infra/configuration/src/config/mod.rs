//! A validated file, as types: the fields that the rules and the local stack read. Fields for AWS only stay JSON.

mod runtime;

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::{rules, schema, yaml};

pub use runtime::{Deadlines, Inputs, Limits, Nodes, Replicas, Runtime, Scaling, Schedule};

/// A configuration that can be deployed.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The whole file, with every default in its place.
    pub json: Value,
    /// The part of it that is read here.
    pub config: Config,
}

/// What is deployed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The prefix of every name.
    pub name: String,
    /// The AWS region.
    pub region: String,
    /// The AWS partition, if the file names it.
    pub partition: Option<String>,
    /// The API.
    pub api: Api,
    /// How results are stored.
    pub results: Results,
    /// The records of tasks.
    pub records: Records,
    /// The subscribers to results.
    pub subscriptions: Subscriptions,
    /// How nodes get the images.
    pub image_cache: ImageCache,
    /// The runtimes, each with a queue and a worker.
    pub runtimes: Vec<Runtime>,
    /// The Kubernetes cluster.
    pub cluster: Cluster,
}

/// The API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Api {
    /// The largest message that is published, in bytes.
    pub message_bytes: u32,
}

/// How results are stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    /// How long presigned URLs work, in seconds.
    pub url_seconds: u32,
    /// After how many days results are deleted; 0 for never.
    pub lifetime_days: u32,
}

/// The records of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Records {
    /// Whether tasks are recorded, which `v1` needs.
    pub enabled: bool,
    /// After how many days a record is deleted.
    pub days: u32,
    /// How many unfinished tasks an API key may have; 0 for any number.
    pub max_unfinished_tasks: u32,
}

/// The subscribers to results.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subscriptions {
    /// Addresses that get an email; the local stack sends none.
    pub emails: Vec<String>,
    /// HTTPS addresses that get a POST; the local stack sends none.
    pub webhooks: Vec<String>,
    /// Queues that are created: `<name>-results-<this>`.
    pub queues: Vec<String>,
}

/// How nodes get the images.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ImageCache {
    /// `auto`, `none`, `snapshot` or `soci`.
    pub mode: String,
}

/// The Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Cluster {
    /// What launches nodes: `karpenter` or `auto`.
    pub nodes: String,
    /// The registry that third-party charts come from, instead of their own.
    pub charts: Option<String>,
    /// What is installed.
    pub install: Install,
}

/// What is installed in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Install {
    /// KEDA.
    pub keda: bool,
    /// Karpenter.
    pub karpenter: bool,
}

/// What is wrong with a file: one line per fault, each with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub file: String,
    /// What is wrong with it, such as `runtimes.0.type: must be one of sdwebui, comfyui, sdcpp`.
    pub faults: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be deployed:", self.file)?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl Checked {
    /// Reads and checks a file; `-` is the standard input.
    ///
    /// # Errors
    ///
    /// Names everything that is wrong with it.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = if file == Path::new("-") { standard_input() } else { fs::read_to_string(file) };
        let text = text.map_err(|error| vec![format!("it cannot be read: {error}")]);
        let checked = text.and_then(|text| Self::parse(&text));
        checked.map_err(|faults| ConfigError { file: file.display().to_string(), faults })
    }

    /// The same for a text; the error is what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        Self::check(yaml::parse(text).map_err(|fault| vec![fault])?)
    }

    /// The same for a file that has been parsed.
    pub fn check(file: Value) -> Result<Self, Vec<String>> {
        let mut json = schema::checked(file)?;
        let config = Config::deserialize(&json).map_err(|error| vec![error.to_string()])?;
        let faults = rules::faults(&config);
        if !faults.is_empty() {
            return Err(faults);
        }
        if config.partition.is_none() {
            json["partition"] = rules::partition_of(&config.region).into();
        }
        Ok(Self { json, config })
    }
}

fn standard_input() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
