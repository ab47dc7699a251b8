//! The cache across prompts: the results of nodes whose inputs did not change.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Comfy,
    job::{Job, link},
    nodes::{self, Made},
};

/// Results by signature. Those that the last prompt did not use are dropped.
#[derive(Default)]
pub(super) struct Cache(HashMap<String, Arc<Made>>);

impl Cache {
    pub(super) fn get(&self, signature: &str) -> Option<&Arc<Made>> {
        self.0.get(signature)
    }

    pub(super) fn insert(&mut self, signature: String, made: Arc<Made>) {
        self.0.insert(signature, made);
    }

    pub(super) fn keep_only(&mut self, signatures: &HashMap<String, String>) {
        let used: HashSet<_> = signatures.values().collect();
        self.0.retain(|signature, _| used.contains(signature));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The signature of every node of a prompt: its class, its inputs, and the signatures of the nodes it depends on.
pub(super) fn signatures(comfy: &Comfy, job: &Job) -> HashMap<String, String> {
    let mut signatures = HashMap::new();
    for node in job.prompt.keys() {
        sign(comfy, job, node, &mut signatures);
    }
    signatures
}

fn sign(comfy: &Comfy, job: &Job, node: &str, signatures: &mut HashMap<String, String>) -> String {
    if let Some(signature) = signatures.get(node) {
        return signature.clone();
    }
    // Nodes that no output needs are not checked: they may form a cycle.
    signatures.insert(node.to_owned(), String::new());
    let mut inputs: Vec<(&String, &Value)> = job.inputs(node).collect();
    inputs.sort_by_key(|(name, _)| *name);
    let mut digest = Sha256::new();
    digest.update(job.class(node));
    for (name, value) in inputs {
        let value = match link(value) {
            Some((from, slot)) if job.prompt.contains_key(from) => {
                format!("{}:{slot}", sign(comfy, job, from, signatures))
            }
            _ => value.to_string(),
        };
        digest.update(format!("\0{name}\0{value}"));
    }
    // A loader runs again when its file has changed.
    if let Some(file) = nodes::input_file(comfy, job, node) {
        digest.update(file);
    }
    let signature = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    signatures.insert(node.to_owned(), signature.clone());
    signature
}
