//! The settings by which a server encodes its images. It does so after it has restored its own settings, so that overriding
//! them does nothing: they are set before the call and set back after it, while no other call is there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use shared_schema::ErrorCode;
use tokio::time::sleep;

use super::client::Client;
use super::request::Request;
use super::settings::whole;
use crate::error::TaskError;
use crate::runtimes::RunHandle;

const SETTINGS: [&str; 3] = ["samples_format", "jpeg_quality", "webp_lossless"];

/// How often it is tried to set them back, and the pause between two tries. Afterwards the next task does it first.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of the settings.
#[derive(Debug, Default)]
pub(super) struct Encoding {
    /// The server's own values, as this worker first met them.
    own: Mutex<Map<String, Value>>,
    /// Whether the server may still have those of a task.
    is_foreign: Arc<AtomicBool>,
}

/// What is set around a call.
#[derive(Debug)]
pub(super) struct Around {
    before: Value,
    after: Value,
    is_foreign: Arc<AtomicBool>,
}

impl Encoding {
    /// Remembers the values among the options. Only the first of each counts: later ones may be a task's.
    pub(super) fn remember(&self, options: &Value) {
        let mut own = self.own();
        for name in SETTINGS {
            if let (false, Some(value)) = (own.contains_key(name), options.get(name)) {
                own.insert(name.to_owned(), whole(value));
            }
        }
    }

    /// The server's own values.
    pub(super) fn remembered(&self) -> Map<String, Value> {
        self.own().clone()
    }

    /// What to set around the request's call, if it asks for other values than the server's.
    pub(super) async fn around(
        &self,
        client: &Client,
        request: &Request,
    ) -> Result<Option<Around>, TaskError> {
        if self.is_foreign.load(Ordering::Relaxed) {
            client.note_options(&self.remembered().into()).await?.accepted("POST", "options")?;
            self.is_foreign.store(false, Ordering::Relaxed);
        }
        let Some(settings) = request.settings().filter(|_| request.endpoint.generates()) else {
            return Ok(None);
        };
        if !SETTINGS.iter().any(|name| settings.contains_key(*name)) {
            return Ok(None);
        }
        if self.remembered().is_empty() {
            self.remember(&client.get_if_served("options").await?.unwrap_or_default());
        }
        let own = self.remembered();
        let asked = |name: &&str| {
            let (own, asked) = (own.get(*name)?, whole(settings.get(*name)?));
            (*own != asked).then(|| (String::from(*name), asked))
        };
        let before: Map<String, Value> = SETTINGS.iter().filter_map(asked).collect();
        let after: Map<String, Value> =
            own.into_iter().filter(|(name, _)| before.contains_key(name)).collect();
        Ok((!before.is_empty()).then(|| self.set_around(before.into(), after.into())))
    }

    /// Restores what the previous process had set for a call.
    pub(super) async fn recover(&self, client: &Client, handle: &RunHandle) {
        if let Some(Value::Object(after)) = handle.0.get("set_back") {
            self.own().extend(after.clone());
            self.set_around(Value::Null, Value::Object(after.clone())).end(client).await;
        }
    }

    fn set_around(&self, before: Value, after: Value) -> Around {
        Around { before, after, is_foreign: Arc::clone(&self.is_foreign) }
    }

    fn own(&self) -> MutexGuard<'_, Map<String, Value>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Around {
    /// By what another process knows what to set back.
    pub(super) fn handle(&self) -> RunHandle {
        RunHandle(serde_json::json!({ "set_back": self.after }))
    }

    /// Sets the request's values.
    pub(super) async fn begin(&self, client: &Client) -> Result<(), TaskError> {
        let answer = client.note_options(&self.before).await?;
        if answer.is_not_served() {
            let names = self.before.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
            let names: Vec<&str> = names.collect();
            let message = format!(
                "the runtime cannot be asked for other images than its own: leave out {}",
                names.join(", ")
            );
            return Err(
                TaskError::new(ErrorCode::RuntimeRejected, message).at_field("/content/override_settings")
            );
        }
        answer.accepted("POST", "options").map(drop)
    }

    /// Sets the server's own values back.
    pub(super) async fn end(&self, client: &Client) {
        for _ in 0..TRIES {
            match client.note_options(&self.after).await.and_then(|answer| answer.accepted("POST", "options"))
            {
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, "restoring the runtime's image encoding failed"),
            }
            sleep(PAUSE).await;
        }
        self.is_foreign.store(true, Ordering::Relaxed);
    }
}
