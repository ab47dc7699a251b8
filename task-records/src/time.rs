//! Times in records: RFC 3339 in UTC with milliseconds, so that their texts sort like the times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::time::OffsetDateTime;
use ::time::format_description::StaticFormatDescription;
use ::time::macros::format_description;

const FORMAT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A time as records contain it, such as `2026-05-04T12:00:00.000Z`.
pub fn timestamp(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(FORMAT).unwrap_or_default()
}

/// The seconds since 1970, as DynamoDB's TTL counts them.
pub fn epoch_seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The milliseconds since 1970.
pub fn epoch_millis(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// That time in seconds since 1970 as a time.
pub fn from_epoch_seconds(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_sort_like_times() {
        let at = |millis| timestamp(UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(at(1_777_896_000_007), "2026-05-04T12:00:00.007Z");
        assert!(at(999) < at(1_000) && at(1_000) < at(1_777_896_000_007));
    }
}
