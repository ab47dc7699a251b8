//! Checks of stable-diffusion.cpp content beyond its schemas: unknown fields, images and limits.

mod fields;
mod images;
mod limits;

use serde_json::{Map, Value};

use super::{ContractFiles, RuntimeContract, TaskContract, contract_files, task_contract};
use crate::content::{Allowance, MediaField};
use crate::{RuntimeEntry, TaskType, Violation};

static TASKS: [TaskContract; 2] = [
    task_contract!("sdcpp", TextToImage, "text-to-image"),
    task_contract!("sdcpp", ImageToImage, "image-to-image"),
];

pub use limits::image_count;

/// stable-diffusion.cpp's server, by its asynchronous API.
#[derive(Debug)]
pub struct SdCpp;

impl RuntimeContract for SdCpp {
    fn name(&self) -> &'static str {
        "sdcpp"
    }

    fn tasks(&self) -> &'static [TaskContract] {
        &TASKS
    }

    fn files(&self) -> &'static ContractFiles {
        contract_files!()
    }

    fn violations(
        &self,
        task: &TaskContract,
        content: &Value,
        _runtime: Option<&RuntimeEntry>,
        allowance: Allowance<'_>,
    ) -> Vec<Violation> {
        let mut violations = task.schema.violations(content);
        let Some(fields) = content.as_object() else { return violations };
        violations.extend(fields::violations(task.task_type, content));
        violations.extend(images::violations(task.task_type, fields));
        let of_limits = limits::violations(fields, allowance.limits);
        let known: Vec<_> = violations.iter().map(|violation| violation.pointer.clone()).collect();
        violations.extend(of_limits.into_iter().filter(|violation| !known.contains(&violation.pointer)));
        violations
    }

    fn media_fields(&self, _task_type: TaskType, content: &Map<String, Value>) -> Vec<MediaField> {
        images::media_fields(content)
    }
}
