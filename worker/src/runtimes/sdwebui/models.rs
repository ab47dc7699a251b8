//! Which checkpoint a run uses: looked up before anything is unloaded, switched, and compared afterwards.

use std::sync::OnceLock;

use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::registry::{same_file, same_model};
use shared_schema::violation::quoted;

use super::access::{Access, ServerGuard};
use super::client::Client;
use super::error_body;
use super::request::{NamedModel, Request};
use super::server::Server;
use crate::error::TaskError;

/// The setting of Forge that lists the VAE and text encoders that are loaded beside a checkpoint.
pub(super) const MODULES: &str = "forge_additional_modules";

/// The switching of checkpoints between tasks.
#[derive(Debug)]
pub(super) struct Models {
    /// Whether tasks may name the checkpoint to load (`DYNAMIC_SD_MODEL`).
    dynamic: bool,
    /// The checkpoint that the server had when the worker first met it: the one for tasks that name none.
    at_start: OnceLock<String>,
    /// Exclusive while the server is changed.
    pub(super) access: Access,
}

/// A server that has the right checkpoint, and keeps it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) guard: ServerGuard,
    /// The name of the checkpoint that has to run, if that matters.
    pub(super) model: Option<String>,
}

/// The checkpoint that has to be loaded.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// The task names it.
    ByTask(&'a NamedModel),
    /// The one for tasks that name none.
    AtStart(&'a str),
}

impl Models {
    pub(super) fn new(dynamic: bool) -> Self {
        Self { dynamic, at_start: OnceLock::new(), access: Access::default() }
    }

    /// Remembers the checkpoint of the options. Only the first counts: a server that restarts loads the one
    /// that was switched to last.
    pub(super) fn remember(&self, options: &Value) {
        if let Some(loaded) = loaded(options) {
            self.at_start.get_or_init(|| loaded.to_owned());
        }
    }

    /// Makes the server ready to run the request with its checkpoint, in a turn that other calls may be waiting for, too,
    /// unless something has to be changed.
    pub(super) async fn prepare(
        &self,
        client: &Client,
        server: &Server,
        request: &mut Request,
    ) -> Result<Prepared, TaskError> {
        if let Some(model) = request.override_model.clone() {
            let exclusive = self.access.lock_exclusive().await;
            // A server silently drops an unknown override and runs what is loaded, and SD.Next knows fewer spellings
            // than it lists: it gets the one that every server knows.
            let title = find(client, &model.name).await?.ok_or_else(|| not_found(&model))?;
            request.set("sd_model_checkpoint", json!(title));
            let names_modules = request.settings().is_some_and(|settings| settings.contains_key(MODULES));
            if let (false, Some(modules)) = (names_modules, server.modules(client).await?) {
                request.set(MODULES, modules);
            }
            return Ok(Prepared { guard: exclusive.exclusive(), model: Some(title) });
        }
        if request.settings().is_some() {
            // Forge sets them on arrival, ahead of the call's turn, for whatever runs; others return them to every request
            // for the options, and encode with them the images of the run before.
            let exclusive = self.access.lock_exclusive().await;
            let model = match self.wanted(request) {
                Some(wanted) => Some(switch(client, wanted).await?),
                None => None,
            };
            return Ok(Prepared { guard: exclusive.exclusive(), model });
        }
        let guard = self.access.lock_shared().await;
        let Some(wanted) = self.wanted(request) else { return Ok(Prepared { guard, model: None }) };
        if let Some(model) = loaded_as(client, wanted.name()).await? {
            return Ok(Prepared { guard, model: Some(model) });
        }
        drop(guard);
        let exclusive = self.access.lock_exclusive().await;
        let model = Some(switch(client, wanted).await?);
        Ok(Prepared { guard: exclusive.downgrade(), model })
    }

    fn wanted<'a>(&'a self, request: &'a Request) -> Option<Wanted<'a>> {
        if !self.dynamic || !request.endpoint.generates() {
            return None;
        }
        let named = request.model.as_ref().map(Wanted::ByTask);
        named.or_else(|| self.at_start.get().map(|name| Wanted::AtStart(name)))
    }
}

impl<'a> Wanted<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::ByTask(model) => &model.name,
            Self::AtStart(name) => name,
        }
    }

    fn not_found(self) -> TaskError {
        match self {
            Self::ByTask(model) => not_found(model),
            Self::AtStart(name) => mismatch(name, None),
        }
    }

    /// The server takes no options, so it cannot switch.
    fn not_switchable(self, loaded: Option<&str>) -> TaskError {
        let error = mismatch(self.name(), loaded).finally();
        match self {
            Self::ByTask(model) => error.at_field(&model.pointer),
            Self::AtStart(_) => error,
        }
    }
}

/// The name of the loaded checkpoint, if it is the one of that name.
async fn loaded_as(client: &Client, name: &str) -> Result<Option<String>, TaskError> {
    let options = client.get("options").await?;
    Ok(loaded(&options).filter(|loaded| same_model(loaded, name)).map(str::to_owned))
}

/// Loads the checkpoint unless it is loaded. Returns its name as the server writes it.
async fn switch(client: &Client, wanted: Wanted<'_>) -> Result<String, TaskError> {
    let before = client.get("options").await?;
    if let Some(loaded) = loaded(&before).filter(|loaded| same_model(loaded, wanted.name())) {
        return Ok(loaded.to_owned());
    }
    // Before anything is unloaded: SD.Next drops the loaded model for a name that it does not have.
    let title = find(client, wanted.name()).await?.ok_or_else(|| wanted.not_found())?;
    if loaded(&before).is_some_and(|loaded| same_model(loaded, &title)) {
        return Ok(title);
    }
    tracing::info!(model = %title, "switching the model");
    let mut options = json!({ "sd_model_checkpoint": title });
    if let Some(modules) = before.get(MODULES).filter(|modules| !modules.is_null()) {
        // Forge Neo otherwise loads the checkpoint without them.
        options[MODULES] = modules.clone();
    }
    let answer = client.set_options(&options).await?;
    if answer.is_not_served() {
        return Err(wanted.not_switchable(loaded(&before)));
    }
    if !answer.status.is_success() {
        let refused = error_body::from_answer(answer.status.as_u16(), &answer.body);
        return Err(match refused.code {
            ErrorCode::OutOfMemory | ErrorCode::RuntimeUnavailable => refused,
            _ => TaskError { reason: refused.reason, ..mismatch(&title, None) },
        });
    }
    // SD.Next reports success whatever happens.
    let after = client.get("options").await?;
    match loaded(&after) {
        Some(loaded) if same_model(loaded, &title) => Ok(title),
        other => Err(mismatch(&title, other)),
    }
}

/// The title of the checkpoint of that name, if the server has it. New files are seen only after a rescan.
async fn find(client: &Client, name: &str) -> Result<Option<String>, TaskError> {
    if let Some(title) = title_of(&client.get("sd-models").await?, name) {
        return Ok(Some(title));
    }
    if !client.command("refresh-checkpoints").await? {
        return Ok(None);
    }
    Ok(title_of(&client.get("sd-models").await?, name))
}

/// The checkpoint of the server's options.
pub(super) fn loaded(options: &Value) -> Option<&str> {
    options["sd_model_checkpoint"].as_str().filter(|name| !name.is_empty())
}

/// The title of the listed checkpoint that goes by that name: its title, name, file or hash, else another spelling of one
/// of these, else the file without its folder.
fn title_of(models: &Value, name: &str) -> Option<String> {
    let models = models.as_array()?;
    let by = |same: fn(&str, &str) -> bool| {
        models.iter().find(|model| {
            let names = ["title", "model_name", "filename", "hash", "sha256"];
            names.iter().filter_map(|field| model[field].as_str()).any(|listed| same(listed, name))
        })
    };
    let found = by(|listed, name| listed == name).or_else(|| by(same_model)).or_else(|| by(same_file));
    found?["title"].as_str().map(str::to_owned)
}

/// Checks that the run used the checkpoint that was wanted, as far as the server reports it.
pub(super) fn check_that_ran(wanted: Option<&str>, ran: Option<&str>) -> Result<(), TaskError> {
    match (wanted, ran) {
        (Some(wanted), Some(ran)) if !same_file(wanted, ran) => Err(mismatch(wanted, Some(ran))),
        _ => Ok(()),
    }
}

fn not_found(model: &NamedModel) -> TaskError {
    let message = format!("the runtime has no model called {}", quoted(&model.name));
    TaskError::new(ErrorCode::ModelNotFound, message).at_field(&model.pointer)
}

fn mismatch(wanted: &str, other: Option<&str>) -> TaskError {
    let instead = other.map(|other| format!(" but has {}", quoted(other))).unwrap_or_default();
    let message = format!("the runtime did not load the model {}{instead}", quoted(wanted));
    TaskError::new(ErrorCode::ModelMismatch, message)
}

#[cfg(test)]
mod tests {
    use super::super::recordings::answer_to;
    use super::*;

    #[test]
    fn a_listed_model_is_found_by_all_its_names() {
        let models = answer_to("models-and-options", "GET", "sd-models");
        for name in [
            "sd15_random_full.safetensors [a18cfea7eb]",
            "sd15_random_full.safetensors",
            "sd15_random_full",
            "/opt/webui/models/Stable-diffusion/sd15_random_full.safetensors",
        ] {
            let title = title_of(&models, name);
            assert_eq!(title.as_deref(), Some("sd15_random_full.safetensors [a18cfea7eb]"), "{name}");
        }
        assert_eq!(title_of(&models, "a18cfea7eb").as_deref(), Some("sd15_b.safetensors [a18cfea7eb]"));
        assert_eq!(title_of(&models, "nope.safetensors"), None);
    }

    #[test]
    fn folders_and_hashes_are_spelt_as_people_do() {
        let sha256 = "0123456789abcdef".repeat(4);
        let upper_case = sha256.to_uppercase();
        let models = json!([
            {"title": "other/x.safetensors [0123456789]", "model_name": "other_x", "hash": "0123456789",
             "sha256": sha256, "filename": "/models/other/x.safetensors"},
            {"title": "sd15/x.safetensors", "model_name": "sd15_x", "hash": null, "filename": "/models/sd15/x.safetensors"},
        ]);
        for (name, title) in [
            ("sd15\\x.safetensors [9999999999]", "sd15/x.safetensors"),
            ("sd15/x", "sd15/x.safetensors"),
            ("other\\x", "other/x.safetensors [0123456789]"),
            (upper_case.as_str(), "other/x.safetensors [0123456789]"),
            ("x", "other/x.safetensors [0123456789]"),
        ] {
            assert_eq!(title_of(&models, name).as_deref(), Some(title), "{name}");
        }
        assert_eq!(title_of(&models, "nope.safetensors [0123456789]"), None);
    }

    #[test]
    fn the_exact_name_wins_over_another_spelling() {
        let models = json!([{"title": "a.ckpt"}, {"title": "a.safetensors"}]);
        assert_eq!(title_of(&models, "a.safetensors").as_deref(), Some("a.safetensors"));
    }

    #[test]
    fn a_run_with_another_model_is_reported() {
        let error = check_that_ran(Some("sd15_a.safetensors [b1]"), Some("sd15_b")).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelMismatch);
        assert_eq!(check_that_ran(Some("folder/sd15_b.safetensors [b1]"), Some("sd15_b")), Ok(()));
    }

    #[test]
    fn a_server_that_does_not_report_its_model_is_trusted() {
        assert_eq!(check_that_ran(Some("a"), None), Ok(()));
        assert_eq!(check_that_ran(None, Some("b")), Ok(()));
    }

    #[test]
    fn the_model_of_the_first_meeting_is_remembered() {
        let models = Models::new(true);
        models.remember(&json!({"sd_model_checkpoint": null}));
        models.remember(&json!({"sd_model_checkpoint": "first"}));
        models.remember(&json!({"sd_model_checkpoint": "last switched to"}));
        assert_eq!(models.at_start.get().map(String::as_str), Some("first"));
    }
}
