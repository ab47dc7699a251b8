//! `GET /view`: fetches a file.

use std::{sync::Arc, time::UNIX_EPOCH};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    Comfy,
    files::Folder,
    output_path::{join, leads_outside},
};
use crate::faults::Occasion;

#[derive(Deserialize)]
pub(super) struct Wanted {
    filename: Option<String>,
    #[serde(default)]
    subfolder: String,
    #[serde(rename = "type")]
    folder: Option<String>,
}

pub(super) async fn view(
    State(comfy): State<Arc<Comfy>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let Some(filename) = wanted.filename else { return StatusCode::NOT_FOUND.into_response() };
    let (name, annotated) = annotation(&filename);
    if name.is_empty() || name.starts_with('/') || name.contains("..") {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let folder = annotated.or_else(|| Folder::parse(wanted.folder.as_deref().unwrap_or("output")));
    let Some(folder) = folder else { return StatusCode::BAD_REQUEST.into_response() };
    if leads_outside(&wanted.subfolder) {
        return StatusCode::FORBIDDEN.into_response();
    }
    if comfy.machine.faults.next(Occasion::View).is_some() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let file = comfy.files().get(folder, &join(wanted.subfolder.trim_matches('/'), name)).cloned();
    let Some(file) = file else { return StatusCode::NOT_FOUND.into_response() };
    let modified = file.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let size = file.content.len();
    let common = [
        (header::CONTENT_DISPOSITION, format!("filename=\"{name}\"")),
        (header::CONTENT_TYPE, content_type(name).to_owned()),
        (header::ETAG, format!("\"{:x}-{size:x}\"", modified.as_nanos())),
        (header::LAST_MODIFIED, http_date(modified.as_secs())),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    match headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok())
        .map(|range| byte_range(range, size))
    {
        None => (common, file.content).into_response(),
        Some(Some((first, last))) => {
            let range = [(header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}"))];
            (StatusCode::PARTIAL_CONTENT, common, range, file.content.slice(first..=last)).into_response()
        }
        Some(None) => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            (StatusCode::RANGE_NOT_SATISFIABLE, range).into_response()
        }
    }
}

/// `name [output]` names the folder too.
pub(super) fn annotation(filename: &str) -> (&str, Option<Folder>) {
    let annotated = filename.strip_suffix(']').and_then(|rest| rest.rsplit_once(" ["));
    match annotated.and_then(|(name, folder)| Some((name, Folder::parse(folder)?))) {
        Some((name, folder)) => (name, Some(folder)),
        None => (filename, None),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        Some("mp4") => "video/mp4",
        Some("webm") => "video/webm",
        Some("flac") => "audio/flac",
        Some("mp3") => "audio/mpeg",
        Some("opus") => "audio/ogg",
        _ => "application/octet-stream",
    }
}

/// First and last byte of `bytes=a-b`, `bytes=a-` or `bytes=-n`.
fn byte_range(range: &str, size: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.checked_sub(1)?;
    let range = match (first.parse::<usize>().ok(), last.parse::<usize>().ok()) {
        (Some(first), last) => (first, last.unwrap_or(end).min(end)),
        (None, Some(count)) => (size.saturating_sub(count), end),
        (None, None) => return None,
    };
    (range.0 <= range.1).then_some(range)
}

/// A time as HTTP writes it, from seconds since 1970.
fn http_date(seconds: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap_or_default());
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (weekday, month) = (time.weekday().to_string(), time.month().to_string());
    format!(
        "{:.3}, {:02} {:.3} {} {:02}:{:02}:{:02} GMT",
        weekday,
        time.day(),
        month,
        time.year(),
        time.hour(),
        time.minute(),
        time.second(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_end_of_the_file() {
        assert_eq!(byte_range("bytes=0-3", 10), Some((0, 3)));
        assert_eq!(byte_range("bytes=4-", 10), Some((4, 9)));
        assert_eq!(byte_range("bytes=-3", 10), Some((7, 9)));
        assert_eq!(byte_range("bytes=2-99", 10), Some((2, 9)));
        assert_eq!(byte_range("bytes=10-", 10), None);
    }

    #[test]
    fn dates_have_the_format_of_http() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
