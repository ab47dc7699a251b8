//! Second step: the task, or everything that is wrong with it.

use serde_json::Value;
use shared_schema::Contract;
use shared_schema::envelope::{Accepted, v1alpha1};

use super::ApiVersion;
use crate::error::ApiError;

/// Checks a body against the contract of its version. `bucket` is where the results will be.
pub(crate) fn check(
    contract: &Contract,
    version: ApiVersion,
    bucket: &str,
    body: Value,
) -> Result<Accepted, ApiError> {
    let accepted = match version {
        ApiVersion::V1Alpha1 => contract.v1alpha1(body).map(|mut accepted| {
            v1alpha1::add_output_path(&mut accepted.task, bucket);
            accepted
        }),
        ApiVersion::V1Alpha2 => contract.v1alpha2(body),
    };
    accepted.map_err(ApiError::InvalidTask)
}
