//! All types of runtimes, one line each, and what each of them is made from.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use shared_schema::runtimes::{self as contracts, RuntimeContract};
use shared_schema::{Task, TaskId, TaskType};

use super::left_run::UninterruptibleRun;
use super::{Runtime, comfyui, openai_images, sdcpp, sdwebui};
use crate::error::TaskError;

/// What a runtime is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// `API_BASE_URL` as configured; absent means the runtime's own default.
    pub api_base_url: Option<String>,
    /// Whether a task may name the model to load (`DYNAMIC_SD_MODEL`).
    pub dynamic_model: bool,
    /// The most bytes that the results of one task may have.
    pub max_task_bytes: u64,
    /// How long a run may show no sign of life (`STUCK_SECONDS`).
    pub stuck_after: Duration,
    /// Settings of extensions that a task may override (`SETTINGS_ALLOWED`).
    pub settings_allowed: Vec<String>,
    /// What is done about a run that cannot be interrupted (`UNINTERRUPTIBLE_RUN`).
    pub uninterruptible_run: UninterruptibleRun,
}

/// One type of runtime.
#[derive(Debug)]
pub struct RuntimeType {
    /// What it accepts, and its name in `RUNTIME_TYPE`.
    pub contract: &'static dyn RuntimeContract,
    /// The default of `API_BASE_URL`.
    pub default_address: &'static str,
    /// Validates the options, without side effects. An error names the variable that is wrong.
    pub check_options: fn(&RuntimeOptions) -> Result<(), String>,
    /// Creates its client from validated options.
    pub connect: fn(&RuntimeOptions) -> Result<Arc<dyn Runtime>, String>,
    /// Whether it distinguishes its jobs, so that it can get several at once (`WORKER_CONCURRENCY`).
    pub takes_several: bool,
    /// What its server leaves on the disk.
    pub leavings: Leavings,
    /// The `.out` file of a task that failed, in the format of this runtime's predecessor.
    pub failure_report: fn(&TaskId, &TaskError, attempts: u32) -> Value,
}

/// What a runtime's server leaves in its scratch folder. Paths are relative to that folder.
#[derive(Debug)]
pub struct Leavings {
    /// Where it keeps files of runs.
    pub roots: &'static [&'static str],
    /// The folder in each of them in which every run has folders of its own, each named by a UUID that the worker chose.
    pub run_folder: &'static str,
    /// Folders whose other files are not needed while nothing runs.
    pub disposable: &'static [&'static str],
}

/// All types of runtimes, one line each.
pub static REGISTRY: [RuntimeType; 4] = [
    RuntimeType {
        contract: &contracts::sdwebui::SdWebUi,
        default_address: sdwebui::DEFAULT_ADDRESS,
        check_options: sdwebui::check_options,
        connect: sdwebui::connect,
        takes_several: false,
        leavings: sdwebui::LEAVINGS,
        failure_report: sdwebui::failure_report,
    },
    RuntimeType {
        contract: &contracts::comfyui::ComfyUi,
        default_address: comfyui::DEFAULT_ADDRESS,
        check_options: comfyui::check_options,
        connect: comfyui::connect,
        takes_several: true,
        leavings: comfyui::LEAVINGS,
        failure_report: comfyui::failure_report,
    },
    RuntimeType {
        contract: &contracts::openai_images::OpenAiImages,
        default_address: openai_images::DEFAULT_ADDRESS,
        check_options: openai_images::check_options,
        connect: openai_images::connect,
        takes_several: false,
        leavings: openai_images::LEAVINGS,
        failure_report: openai_images::failure_report,
    },
    RuntimeType {
        contract: &contracts::sdcpp::SdCpp,
        default_address: sdcpp::DEFAULT_ADDRESS,
        check_options: sdcpp::check_options,
        connect: sdcpp::connect,
        takes_several: true,
        leavings: sdcpp::LEAVINGS,
        failure_report: sdcpp::failure_report,
    },
];

impl RuntimeType {
    /// The type of that name.
    pub fn by_name(name: &str) -> Option<&'static RuntimeType> {
        REGISTRY.iter().find(|known| known.name() == name)
    }

    /// Its name in `RUNTIME_TYPE`.
    pub fn name(&self) -> &'static str {
        self.contract.name()
    }

    /// The models that a task names.
    pub fn model_names(&self, task: &Task) -> Vec<String> {
        self.contract.named_models(&task.content).into_iter().map(|(_, model)| model).collect()
    }

    /// The task types that it handles.
    pub fn task_types(&self) -> Vec<TaskType> {
        self.contract.task_types()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_has_a_client() {
        let contracts = contracts::REGISTRY.map(|contract| contract.name());
        assert_eq!(REGISTRY.each_ref().map(RuntimeType::name), contracts);
    }
}
