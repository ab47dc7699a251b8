//! The file of a deployment: the examples load, and faults are reported with their place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod examples;
mod faults;
mod generated;
mod meaning;

use deployment_config::Checked;

/// The smallest file.
const SMALLEST: &str = "
region: us-west-2
modelBucket: my-models
runtimes:
  - name: sdruntime
    type: sdwebui
    model: v1-5.safetensors
";

/// The faults of a file.
fn faults_of(text: &str) -> Vec<String> {
    Checked::parse(text).err().unwrap_or_default()
}
