//! The text for email subscribers: what happened, why, what to do, and a link to each file on a line of its own. Ids, names
//! and messages of runtimes are texts of others, so no line break or control character of theirs is in it.

use super::shorten::shown;
use super::{Failure, Notification, Output, RunningNotification};
use crate::printable::printable;
use crate::{RuntimeName, TaskId};

/// The most links in an email.
pub(super) const MAX_LINKS: usize = 10;

/// The most warnings, and the most violations, in an email.
const MAX_DETAILS: usize = 5;

/// The longest subject, in characters: SNS accepts fewer than 100 (SNS API reference, `Publish`).
const MAX_SUBJECT: usize = 99;

impl Notification {
    /// The subject: in ASCII, which each mail program shows.
    pub(super) fn subject(&self) -> String {
        let status = self.task_status.as_str();
        match &self.error {
            Some(error) => subject(&self.id, &format!("{status} ({})", error.code)),
            None => subject(&self.id, status),
        }
    }

    /// The text, with at most so many links.
    pub(super) fn email(&self, most_links: usize) -> String {
        let mut lines = heading(&self.id, self.task_status.as_str(), &self.runtime);
        if let Some(error) = &self.error {
            lines.extend(reasons(error, &self.output_url));
        }
        let warning = |warning: &super::Warning| format!("Warning: {}", line(&warning.message));
        lines.extend(listed(&self.warnings, MAX_DETAILS, warning, "warnings", &self.output_url));
        lines.extend(files(&self.outputs, most_links, &self.output_url));
        lines.push(format!("Details: {}", line(&self.output_url)));
        lines.join("\n") + "\n"
    }
}

impl RunningNotification {
    /// The subject, as of a [`Notification`].
    pub(super) fn subject(&self) -> String {
        subject(&self.id, &self.status)
    }

    /// The text.
    pub(super) fn email(&self) -> String {
        heading(&self.id, &self.status, &self.runtime).join("\n") + "\n"
    }
}

fn heading(id: &TaskId, status: &str, runtime: &RuntimeName) -> Vec<String> {
    let task = format!("Task: {}", line(id.as_str()));
    vec![task, format!("Status: {}", line(status)), format!("Runtime: {}", line(runtime.as_str()))]
}

fn reasons(error: &Failure, output_url: &str) -> Vec<String> {
    let mut lines = vec![
        format!("Error: {}: {}", error.code, line(&error.message)),
        format!("What to do: {}", error.code.advice()),
    ];
    let violation =
        |found: &crate::Violation| format!("Violation: {} {}", line(&found.pointer), line(&found.message));
    lines.extend(listed(&error.violations, MAX_DETAILS, violation, "violations", output_url));
    lines
}

fn files(outputs: &[Output], most: usize, output_url: &str) -> Vec<String> {
    if outputs.is_empty() {
        return Vec::new();
    }
    let until = outputs.iter().take(most).find_map(|output| output.url_expires_at.as_deref());
    let until = until.map(|time| format!(" (links work until {})", line(time))).unwrap_or_default();
    // Where no URL could be signed, the address in the bucket is better than nothing.
    let link = |output: &Output| output.url.clone().unwrap_or_else(|| line(&output.s3_uri));
    let mut lines = vec![format!("Files: {}{until}", outputs.len())];
    lines.extend(listed(outputs, most, link, "files", output_url));
    lines
}

/// A line for each of the first items, and one for the number of the others.
fn listed<T>(items: &[T], most: usize, show: impl Fn(&T) -> String, what: &str, place: &str) -> Vec<String> {
    let mut lines: Vec<String> = items.iter().take(most).map(show).collect();
    match items.len().saturating_sub(most) {
        0 => {}
        all if all == items.len() => lines.push(format!("All {what} are in {}", line(place))),
        more => lines.push(format!("and {more} more {what} in {}", line(place))),
    }
    lines
}

fn line(text: &str) -> String {
    shown(&printable(text))
}

fn subject(id: &TaskId, outcome: &str) -> String {
    let room = MAX_SUBJECT.saturating_sub("Task : ".len() + outcome.len());
    let ascii = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let mut id: String = printable(id.as_str()).chars().map(ascii).collect();
    if id.len() > room {
        id.truncate(room.saturating_sub(3));
        id += "...";
    }
    format!("Task {id}: {outcome}")
}
