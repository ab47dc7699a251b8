//! Checkpoints: files, names, and the loaded one.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Dialect, WebUi, errors::Failure};

/// The folder of checkpoints on the server.
const FOLDER: &str = "/opt/webui/models/Stable-diffusion";
/// Digits of the short hash.
const SHORT_HASH: usize = 10;

/// One file with the weights of a model.
pub(super) struct Checkpoint {
    pub(super) file: String,
    pub(super) sha256: String,
    /// The hash becomes known, and part of the title, when the checkpoint is loaded for the first time.
    hashed: bool,
    dialect: Dialect,
}

impl Checkpoint {
    fn new(dialect: Dialect, file: &str) -> Self {
        // There is no file to hash, so the name is hashed.
        let digest = Sha256::digest(file.as_bytes());
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { file: file.to_owned(), sha256, hashed: false, dialect }
    }

    /// The file name without its extension.
    pub(super) fn name(&self) -> &str {
        self.file.rsplit_once('.').map_or(&self.file, |(stem, _)| stem)
    }

    pub(super) fn short_hash(&self) -> &str {
        self.sha256.get(..SHORT_HASH).unwrap_or(&self.sha256)
    }

    /// SD.Next leaves the extension out.
    pub(super) fn selected_name(&self) -> &str {
        if self.dialect == Dialect::SdNext { self.name() } else { &self.file }
    }

    fn title(&self) -> String {
        let name = self.selected_name();
        if self.hashed { format!("{name} [{}]", self.short_hash()) } else { name.to_owned() }
    }

    fn is_called(&self, name: &str) -> bool {
        let always =
            name == self.selected_name() || name == self.name() || name == format!("{FOLDER}/{}", self.file);
        let hashed = name == self.title()
            || name == self.short_hash()
            || name == self.sha256
            || name == format!("{} [{}]", self.name(), self.short_hash());
        always || self.hashed && hashed
    }

    fn describe(&self) -> Value {
        json!({
            "title": self.title(),
            "model_name": self.name(),
            "hash": self.hashed.then(|| self.short_hash()),
            "sha256": self.hashed.then_some(&self.sha256),
            "filename": format!("{FOLDER}/{}", self.file),
            "config": null,
        })
    }
}

pub(super) struct Models {
    checkpoints: Vec<Checkpoint>,
    /// The one that settings name: loaded again when none is.
    selected: usize,
    loaded: Option<usize>,
}

impl Models {
    /// The first checkpoint is loaded at once.
    pub(super) fn new(dialect: Dialect, files: &[String]) -> Self {
        let mut models = Self {
            checkpoints: files.iter().map(|file| Checkpoint::new(dialect, file)).collect(),
            selected: 0,
            loaded: None,
        };
        models.ensure_loaded();
        models
    }

    pub(super) fn loaded(&self) -> Option<&Checkpoint> {
        self.checkpoints.get(self.loaded?)
    }

    /// Loads the selected checkpoint if none is loaded.
    pub(super) fn ensure_loaded(&mut self) -> Option<usize> {
        if self.loaded.is_none() {
            self.load(self.selected);
        }
        self.loaded
    }

    pub(super) fn load(&mut self, index: usize) {
        if let Some(checkpoint) = self.checkpoints.get_mut(index) {
            checkpoint.hashed = true;
            self.loaded = Some(index);
        }
    }

    /// Selects and loads the checkpoint that `name` means to the settings: one of its names, or a part of its title.
    pub(super) fn select(&mut self, name: &str) -> Option<&Checkpoint> {
        let without_hash = name.rsplit_once(" [").map_or(name, |(name, _)| name);
        let index = self
            .by_alias(name)
            .or_else(|| self.by_part_of_title(name))
            .or_else(|| self.by_part_of_title(without_hash))?;
        self.selected = index;
        self.load(index);
        self.checkpoints.get(index)
    }

    /// The checkpoint that has exactly this name.
    pub(super) fn by_alias(&self, name: &str) -> Option<usize> {
        self.checkpoints.iter().position(|checkpoint| checkpoint.is_called(name))
    }

    fn by_part_of_title(&self, part: &str) -> Option<usize> {
        let titles = self.checkpoints.iter().map(Checkpoint::title).enumerate();
        let matching = titles.filter(|(_, title)| !part.is_empty() && title.contains(part));
        matching.min_by_key(|(_, title)| title.len()).map(|(index, _)| index)
    }
}

pub(super) async fn list(State(webui): State<Arc<WebUi>>) -> Json<Value> {
    Json(webui.models().checkpoints.iter().map(Checkpoint::describe).collect())
}

/// No VAE is there beside the checkpoints. Forge lists VAEs among its modules.
pub(super) async fn vaes(State(webui): State<Arc<WebUi>>) -> Result<Json<Value>, Failure> {
    match webui.dialect {
        Dialect::Forge => Err(Failure::http(StatusCode::NOT_FOUND, "Not Found")),
        Dialect::Automatic1111 | Dialect::SdNext => Ok(Json(json!([]))),
    }
}

/// Of the Lora extension, which is built in.
pub(super) async fn loras(State(webui): State<Arc<WebUi>>) -> Json<Value> {
    let describe = |file: &String| {
        let name = file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem);
        json!({"name": name, "alias": name, "path": format!("/opt/webui/models/Lora/{file}"), "metadata": {}})
    };
    Json(webui.loras.iter().map(describe).collect())
}

pub(super) async fn styles(State(webui): State<Arc<WebUi>>) -> Json<Value> {
    let describe = |name: &String| json!({"name": name, "prompt": "{prompt}", "negative_prompt": ""});
    Json(webui.styles.iter().map(describe).collect())
}

/// What Forge loads beside a checkpoint: none is there.
pub(super) async fn modules(State(webui): State<Arc<WebUi>>) -> Result<Json<Value>, Failure> {
    match webui.dialect {
        Dialect::Forge => Ok(Json(json!([]))),
        Dialect::Automatic1111 | Dialect::SdNext => Err(Failure::http(StatusCode::NOT_FOUND, "Not Found")),
    }
}

pub(super) async fn refresh(State(webui): State<Arc<WebUi>>) -> Response {
    webui.controlled(Value::Null)
}

pub(super) async fn unload(State(webui): State<Arc<WebUi>>) -> Response {
    webui.models().loaded = None;
    webui.controlled(json!({}))
}

pub(super) async fn reload(State(webui): State<Arc<WebUi>>) -> Response {
    webui.models().ensure_loaded();
    webui.controlled(json!({}))
}
