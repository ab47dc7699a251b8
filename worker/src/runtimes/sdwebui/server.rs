//! The kind of the server and its lists: fetched when a task needs them, and dropped when the server was away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::client::Client;
use super::models::MODULES;
use crate::error::TaskError;

/// What is known of the server.
#[derive(Debug, Default)]
pub(super) struct Server(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The kind, once its options were seen.
    kind: Option<Kind>,
    /// The answers of endpoints that list what there is; `None` where the server does not have the endpoint.
    lists: HashMap<&'static str, Option<Arc<Value>>>,
}

/// What matters of the differences between servers.
#[derive(Debug, Clone)]
enum Kind {
    /// Forge and Forge Neo, with the value of [`MODULES`].
    Forge(Value),
    /// SD.Next, which has no setting for the layers of CLIP that are skipped.
    SdNext,
    /// AUTOMATIC1111, reForge, stable-diffusion.cpp.
    Other,
}

impl Kind {
    fn of(options: &Value) -> Self {
        match options.get(MODULES) {
            Some(modules) => Self::Forge(modules.clone()),
            None if options.get(SD_NEXT).is_some() => Self::SdNext,
            None => Self::Other,
        }
    }
}

/// A setting that SD.Next alone has.
const SD_NEXT: &str = "diffusers_pipeline";

impl Server {
    /// Forgets everything: the server was restarted, perhaps as another one.
    pub(super) fn forget(&self) {
        *self.known() = Known::default();
    }

    /// Reads from its options what the server is.
    pub(super) fn learn(&self, options: &Value) {
        self.known().kind = Some(Kind::of(options));
    }

    /// Whether it is Forge or a descendant of it that loads modules beside a checkpoint.
    pub(super) async fn is_forge(&self, client: &Client) -> Result<bool, TaskError> {
        Ok(matches!(self.kind(client).await?, Kind::Forge(_)))
    }

    /// Whether it is SD.Next.
    pub(super) async fn is_sd_next(&self, client: &Client) -> Result<bool, TaskError> {
        Ok(matches!(self.kind(client).await?, Kind::SdNext))
    }

    /// The modules that Forge loads beside a checkpoint.
    pub(super) async fn modules(&self, client: &Client) -> Result<Option<Value>, TaskError> {
        match self.kind(client).await? {
            Kind::Forge(modules) if !modules.is_null() => Ok(Some(modules)),
            _ => Ok(None),
        }
    }

    async fn kind(&self, client: &Client) -> Result<Kind, TaskError> {
        if let Some(kind) = self.known().kind.clone() {
            return Ok(kind);
        }
        let kind = Kind::of(&client.get_if_served("options").await?.unwrap_or_default());
        self.known().kind = Some(kind.clone());
        Ok(kind)
    }

    /// What the endpoint lists, as it was last seen; `None` where the server does not list it, or cannot now: the run itself
    /// may work all the same.
    pub(super) async fn list(&self, client: &Client, path: &'static str) -> Option<Arc<Value>> {
        let known = self.known().lists.get(path).cloned();
        if let Some(list) = known {
            return list;
        }
        self.list_fresh(client, path).await
    }

    /// The same, looked up again: files and extensions come and go.
    pub(super) async fn list_fresh(&self, client: &Client, path: &'static str) -> Option<Arc<Value>> {
        match client.get_if_served(path).await {
            Ok(list) => {
                let list = list.map(Arc::new);
                self.known().lists.insert(path, list.clone());
                list
            }
            Err(error) => {
                tracing::warn!(%error, "looking up names of a task failed");
                None
            }
        }
    }

    /// The same, looked up again only if the list that was last seen does not hold what is wanted.
    pub(super) async fn list_with(
        &self,
        client: &Client,
        path: &'static str,
        holds: impl Fn(&Value) -> bool,
    ) -> Option<Arc<Value>> {
        let list = self.list(client, path).await?;
        if holds(&list) { Some(list) } else { self.list_fresh(client, path).await }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
