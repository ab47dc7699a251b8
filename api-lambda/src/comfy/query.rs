//! The query of `GET /jobs`.

use shared_schema::RuntimeName;
use task_records::Status;
use task_records::list::{Filter, Position};

use super::error::{ComfyCode, ComfyError};
use crate::v1::query::{DEFAULT_LIMIT, MAX_LIMIT, position};

/// The most filters by label (contract of the API).
const MAX_FILTERS: usize = 3;

/// A parsed query.
#[derive(Debug)]
pub(super) struct JobQuery {
    pub(super) filter: Filter,
    pub(super) from: Option<Position>,
    pub(super) limit: usize,
}

impl JobQuery {
    /// Parses `metadata[NAME]`, `status`, `limit` and `cursor`. Others are left to later versions of the API.
    pub(super) fn parse(query: &str, runtime: RuntimeName) -> Result<Self, ComfyError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| invalid("the query must be `name=value` pairs, URL-encoded".to_owned()))?;
        let filter = Filter { runtime: Some(runtime), ..Filter::default() };
        let mut parsed = Self { filter, from: None, limit: DEFAULT_LIMIT };
        for (name, value) in pairs {
            match name.as_str() {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    parsed.limit = limit.ok_or_else(|| invalid(format!("limit must be 1 to {MAX_LIMIT}")))?;
                }
                "cursor" => {
                    let message = "cursor must be the `next_cursor` of a page";
                    let from = position(&value);
                    parsed.from = Some(from.map_err(|_| ComfyError::new(ComfyCode::InvalidCursor, message))?);
                }
                "status" => {
                    for status in value.split(',') {
                        let status = Status::parse(status);
                        parsed.filter.statuses.push(status.ok_or_else(|| {
                            invalid("status must be a final state, `queued` or `running`".to_owned())
                        })?);
                    }
                }
                _ if name.starts_with("metadata") => parsed.filter.labels.push((label(&name)?, value)),
                _ => {}
            }
        }
        if parsed.filter.labels.len() > MAX_FILTERS {
            return Err(bad_filter());
        }
        Ok(parsed)
    }
}

/// The name in `metadata[NAME]`.
fn label(parameter: &str) -> Result<String, ComfyError> {
    let name = parameter.strip_prefix("metadata[").and_then(|rest| rest.strip_suffix(']'));
    name.filter(|name| !name.is_empty()).map(str::to_owned).ok_or_else(bad_filter)
}

fn bad_filter() -> ComfyError {
    let message = format!("filters are up to {MAX_FILTERS} parameters `metadata[NAME]=VALUE`");
    ComfyError::new(ComfyCode::InvalidMetadataFilter, message)
}

fn invalid(message: String) -> ComfyError {
    ComfyError::new(ComfyCode::InvalidRequest, message)
}
