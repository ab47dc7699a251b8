//! The query of `GET /v1/tasks`.

use serde::{Deserialize, Serialize};
use shared_schema::RuntimeName;
use task_records::Status;
use task_records::list::{Filter, Position};

use crate::error::ApiError;

/// How many tasks a page has at most, unless the caller says so.
pub(crate) const DEFAULT_LIMIT: usize = 20;
/// The most tasks of a page.
pub(crate) const MAX_LIMIT: usize = 100;

/// A parsed query.
#[derive(Debug, Default)]
pub(super) struct ListQuery {
    pub(super) filter: Filter,
    pub(super) from: Option<Position>,
    pub(super) limit: Option<usize>,
}

/// What a cursor contains. The owner is not part of it: it is always the caller.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor(String, String);

impl ListQuery {
    /// Parses `status`, `runtime`, `label.NAME`, `created_after`, `created_before`, `limit` and `cursor`. `status` can be
    /// repeated, or have several values separated by commas.
    pub(super) fn parse(query: &str) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| invalid("the query", "must be `name=value` pairs, URL-encoded".to_owned()))?;
        let mut parsed = Self::default();
        for (name, value) in pairs {
            parsed.set(&name, value)?;
        }
        Ok(parsed)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), ApiError> {
        match name {
            "status" => {
                for status in value.split(',') {
                    let known = || Status::ALL.map(Status::as_str).join(", ");
                    let status = Status::parse(status)
                        .ok_or_else(|| invalid("status", format!("must be one or several of {}", known())))?;
                    self.filter.statuses.push(status);
                }
            }
            "runtime" => self.filter.runtime = Some(RuntimeName::new(value)),
            "created_after" => self.filter.after = Some(time("created_after", &value)?),
            "created_before" => self.filter.before = Some(time("created_before", &value)?),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                self.limit =
                    Some(limit.ok_or_else(|| invalid("limit", format!("must be 1 to {MAX_LIMIT}")))?);
            }
            "cursor" => self.from = Some(position(&value)?),
            other => match other.strip_prefix("label.").filter(|label| !label.is_empty()) {
                Some(label) => self.filter.labels.push((label.to_owned(), value)),
                None => {
                    let known =
                        "status, runtime, label.NAME, created_after, created_before, limit and cursor";
                    return Err(invalid("the query", format!("may have {known}")));
                }
            },
        }
        Ok(())
    }
}

/// The cursor of a position.
pub(crate) fn cursor(position: Position) -> String {
    let cursor = Cursor(position.created, position.id);
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(serde_json::to_vec(&cursor).unwrap_or_default())
}

/// The position of a cursor.
pub(crate) fn position(cursor: &str) -> Result<Position, ApiError> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(cursor).ok();
    let cursor: Option<Cursor> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match cursor {
        Some(Cursor(created, id)) if !created.is_empty() && !id.is_empty() => Ok(Position { created, id }),
        _ => Err(invalid("cursor", "must be the `next_cursor` of a page".to_owned())),
    }
}

/// A time as records have it.
fn time(name: &'static str, text: &str) -> Result<String, ApiError> {
    let at = shared_schema::StartBy::parse(text).map_err(|error| invalid(name, error.to_string()))?;
    Ok(task_records::time::timestamp(at.at()))
}

fn invalid(name: &'static str, message: String) -> ApiError {
    ApiError::InvalidParameter { name, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_parsed() {
        let query = ListQuery::parse(
            "status=failed,expired&status=queued&runtime=a&label.team=x%26y&limit=7&created_after=2026-05-04T14:00:00%2B02:00",
        )
        .unwrap();
        assert_eq!(query.filter.statuses, [Status::Failed, Status::Expired, Status::Queued]);
        assert_eq!(query.filter.labels, [("team".to_owned(), "x&y".to_owned())]);
        assert_eq!(query.filter.after.as_deref(), Some("2026-05-04T12:00:00.000Z"));
        assert_eq!(query.limit(), 7);
    }

    #[test]
    fn a_cursor_is_read_back() {
        let position = Position { created: "2026".to_owned(), id: "x".to_owned() };
        let query = ListQuery::parse(&format!("cursor={}", cursor(position.clone()))).unwrap();
        assert_eq!(query.from, Some(position));
    }

    #[test]
    fn invalid_parameters_are_named() {
        for (query, name) in [
            ("status=done", "status"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("created_before=today", "created_before"),
            ("cursor=x", "cursor"),
            ("sort=up", "the query"),
            ("label.=a", "the query"),
        ] {
            let error = ListQuery::parse(query).unwrap_err();
            assert!(error.to_string().starts_with(name), "{query}: {error}");
        }
    }
}
