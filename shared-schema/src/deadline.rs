//! Deadlines that a caller gives a task: by when it must have begun, and how long it may run.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The instant after which a task is not begun any more (RFC 3339), kept as the caller wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartBy {
    text: String,
    at: OffsetDateTime,
}

/// A text that is no instant in RFC 3339: another form, or a day that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time that exists, as in `2026-05-04T12:00:00Z` (RFC 3339)")]
pub struct NoInstant;

impl StartBy {
    /// Takes an RFC 3339 text with any offset.
    pub fn parse(text: &str) -> Result<Self, NoInstant> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NoInstant)?;
        Ok(Self { text: text.to_owned(), at })
    }

    /// The instant as the caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The instant.
    pub fn at(&self) -> SystemTime {
        self.at.into()
    }

    /// Whether it is too late to begin.
    pub fn passed(&self, now: SystemTime) -> bool {
        self.at < now
    }

    /// How long it is until then; zero once it has passed.
    pub fn time_left(&self, now: SystemTime) -> Duration {
        SystemTime::from(self.at).duration_since(now).unwrap_or_default()
    }
}

impl Serialize for StartBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for StartBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Reads whole seconds as JSON Schema does: `60.0` is an integer too. Null is none.
pub(crate) fn whole_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(seconds) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    if seconds.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&seconds) {
        return Err(serde::de::Error::custom("must be whole seconds"));
    }
    Ok(Some(seconds as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_passed_when_it_lies_behind_whatever_its_offset() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_777_896_000);
        for text in ["2026-05-04T12:00:00Z", "2026-05-04T14:00:00.000+02:00", "2026-05-04t12:00:00z"] {
            let start_by = StartBy::parse(text).unwrap();
            assert!(!start_by.passed(noon), "{text}");
            assert!(start_by.passed(noon + Duration::from_millis(1)), "{text}");
            assert_eq!(start_by.as_str(), text);
            assert_eq!(start_by.time_left(noon - Duration::from_secs(9)), Duration::from_secs(9), "{text}");
            assert_eq!(start_by.time_left(noon + Duration::from_secs(9)), Duration::ZERO, "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in ["", "tomorrow", "2026-05-04", "2026-05-04T12:00:00", "2026-02-30T12:00:00Z"] {
            assert_eq!(StartBy::parse(text), Err(NoInstant), "{text}");
        }
    }
}
