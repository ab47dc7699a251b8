//! Second step: the task, or everything that is wrong with it.

use serde_json::Value;
use shared_schema::Contract;
use shared_schema::envelope::Accepted;

use super::ApiVersion;
use crate::error::ApiError;

/// Checks a body against the contract of its version.
pub(crate) fn check(contract: &Contract, version: ApiVersion, body: Value) -> Result<Accepted, ApiError> {
    match version {
        ApiVersion::V1Alpha1 => contract.v1alpha1(body),
        ApiVersion::V1Alpha2 => contract.v1alpha2(body),
    }
    .map_err(ApiError::InvalidTask)
}
