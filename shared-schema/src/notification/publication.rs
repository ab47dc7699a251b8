//! What the completion topic is sent: the notification as JSON for programs, a short text for emails, a subject, and
//! attributes for filter policies.

use serde::Serialize;

use super::email::MAX_LINKS;
use super::{Notification, RunningNotification};
use crate::message::{Route, is_attribute, publishable};
use crate::{RuntimeName, TaskType};

/// The parameters of one `Publish` call. Message, attributes and subject together have at most
/// [`Notification::MAX_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// If `is_structured`, a JSON object with a text for each protocol; otherwise the notification for all of them.
    pub message: String,
    /// Whether `MessageStructure` is `json`.
    pub is_structured: bool,
    /// The subject: at most 99 characters, printable ASCII only.
    pub subject: String,
    /// Names and values of the attributes, all of the type `String`: `status` (a [`super::TaskStatus`], or `running`), `runtime`,
    /// and `tasktype` where it is known.
    pub attributes: Vec<(&'static str, String)>,
}

/// The texts by protocol (SNS API reference, `Publish`). Every protocol that is not named gets `default`.
#[derive(Serialize)]
struct Texts<'a> {
    default: &'a str,
    email: &'a str,
}

impl Notification {
    /// The largest message that an SNS topic accepts by default, in bytes. SNS counts the text of `Message` as it is sent, with
    /// all protocols of a structure and their escapes, and names, types and values of the attributes (SNS API reference,
    /// `Publish` and `MessageAttributeValue`).
    pub const MAX_BYTES: usize = 262_144;

    /// The notification as it is published. The task type is that of its task, if it is known.
    pub fn publication(&self, task_type: Option<TaskType>) -> serde_json::Result<Publication> {
        let envelope =
            Envelope::new(self.task_status.as_str(), &self.runtime, task_type, Notification::subject(self));
        let json = self.to_json(envelope.room())?;
        envelope.publication(json, [MAX_LINKS, 0].map(|links| move || self.email(links)))
    }
}

impl RunningNotification {
    /// The notification as it is published.
    pub fn publication(&self, task_type: Option<TaskType>) -> serde_json::Result<Publication> {
        let envelope = Envelope::new(&self.status, &self.runtime, task_type, self.subject());
        let json = self.to_json(envelope.room())?;
        envelope.publication(json, [|| self.email()])
    }
}

/// What is beside the message.
struct Envelope {
    subject: String,
    attributes: Vec<(&'static str, String)>,
}

impl Envelope {
    fn new(status: &str, runtime: &RuntimeName, task_type: Option<TaskType>, subject: String) -> Self {
        let known = [
            ("status", Some(status)),
            (Route::RUNTIME, Some(runtime.as_str())),
            ("tasktype", task_type.map(TaskType::as_str)),
        ];
        let attributes = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let attributes = attributes.filter(|(_, value)| is_usable(value));
        Self { subject, attributes: attributes.map(|(name, value)| (name, value.to_owned())).collect() }
    }

    /// The most bytes that the message can have. Whether SNS counts the subject is not documented, so it is counted.
    fn room(&self) -> usize {
        let attributes =
            self.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
        Notification::MAX_BYTES - self.subject.len() - attributes.sum::<usize>()
    }

    /// With the first of these texts for emails that leaves the JSON as it is. A JSON text that fits beside none of them
    /// is sent to all protocols: programs get what they always got, and emails contain it, too.
    fn publication<const N: usize>(
        self,
        json: String,
        emails: [impl Fn() -> String; N],
    ) -> serde_json::Result<Publication> {
        let room = self.room();
        for email in emails {
            let message = publishable(&Texts { default: &json, email: &email() })?;
            if message.len() <= room {
                return Ok(self.with(message, true));
            }
        }
        Ok(self.with(json, false))
    }

    fn with(self, message: String, is_structured: bool) -> Publication {
        let Self { subject, attributes } = self;
        Publication { message, is_structured, subject, attributes }
    }
}

/// The longest value of an attribute, in bytes. Names of deployed runtimes are far shorter; in a message that died in its queue
/// anything can be in their place.
const MAX_VALUE_BYTES: usize = 256;

/// Whether SNS accepts it as the value of an attribute.
fn is_usable(value: &str) -> bool {
    (1..=MAX_VALUE_BYTES).contains(&value.len()) && is_attribute(value)
}

#[cfg(test)]
#[path = "publication_tests.rs"]
mod tests;
