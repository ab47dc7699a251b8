//! What the units of ControlNet name, looked up before the run: servers silently ignore a unit when they do not have its
//! model or its module, the preprocessor.

use serde_json::{Map, Value};
use shared_schema::runtimes::sdwebui as contract;

use super::client::Client;
use super::names::{squeezed, unknown};
use super::request::{Request, is_on};
use super::server::Server;
use crate::error::TaskError;

/// Where the ControlNet extension, and Forge, list its models: outside of the interface's own path.
const MODELS: &str = "../../controlnet/model_list";

/// And its modules: by the names that the extension keeps them under, and by those of its page. It takes both. Forge has one.
const MODULES: [&str; 2] = ["../../controlnet/module_list", "../../controlnet/module_list?alias_names=true"];

/// What an enabled unit names.
struct Unit {
    /// Its pointer into the body.
    pointer: String,
    model: Option<String>,
    module: Option<String>,
}

/// Looks up what the units name, and sends the modules as the server lists them.
pub(super) async fn resolve(
    client: &Client,
    server: &Server,
    request: &mut Request,
) -> Result<(), TaskError> {
    for Unit { pointer, model, module } in enabled(request) {
        if let Some(asked) = model.filter(|name| !is_none(name)) {
            check_model(client, server, &asked, &format!("/content{pointer}/model")).await?;
        }
        let Some(asked) = module else { continue };
        let at = format!("{pointer}/module");
        let listed = find_module(client, server, &asked, &format!("/content{at}")).await?;
        if let (Some(listed), Some(field)) = (listed, request.fields.pointer_mut(&at)) {
            *field = Value::String(listed);
        }
    }
    Ok(())
}

fn enabled(request: &Request) -> Vec<Unit> {
    let Some(fields) = request.fields.as_object() else { return Vec::new() };
    let units = contract::control_net_units(request.endpoint.task_type(), fields).into_iter();
    let enabled = units.filter(|(_, unit)| unit.get("enabled").is_none_or(is_on));
    let named = |(pointer, unit): (String, &Map<String, Value>)| {
        let name = |key: &str| {
            let name = unit.get(key)?.as_str().filter(|name| !name.is_empty())?;
            Some(name.to_owned())
        };
        Unit { model: name("model"), module: name("module"), pointer }
    };
    enabled.map(named).collect()
}

fn is_none(name: &str) -> bool {
    name.eq_ignore_ascii_case("none")
}

/// Fails if the server lists its models, and not that one.
async fn check_model(client: &Client, server: &Server, asked: &str, pointer: &str) -> Result<(), TaskError> {
    // The extension takes any part of a name, and the hash is optional.
    let name = asked.split_once(" [").map_or(asked, |(name, _)| name).to_lowercase();
    let holds = |list: &Value| match names(list, "model_list") {
        Some(models) => models.iter().any(|model| !is_none(model) && model.to_lowercase().contains(&name)),
        None => true,
    };
    let Some(list) = server.list_with(client, MODELS, holds).await else { return Ok(()) };
    if holds(&list) {
        return Ok(());
    }
    let models = names(&list, "model_list").unwrap_or_default();
    Err(unknown("ControlNet model", asked, pointer, models.into_iter().filter(|model| !is_none(model))))
}

/// The module as the server lists it; `None` where it lists none. Modules come with the server's program: a list holds as
/// long as the server runs.
async fn find_module(
    client: &Client,
    server: &Server,
    asked: &str,
    pointer: &str,
) -> Result<Option<String>, TaskError> {
    let mut known = Vec::new();
    for path in MODULES {
        let list = server.list(client, path).await;
        let Some(modules) = list.as_deref().and_then(|list| names(list, "module_list")) else { break };
        let exact = modules.iter().find(|module| **module == asked);
        if let Some(found) = exact.or(modules.iter().find(|module| squeezed(module) == squeezed(asked))) {
            return Ok(Some((*found).to_owned()));
        }
        if is_none(asked) {
            return Ok(None);
        }
        known.extend(modules.into_iter().filter(|module| !is_none(module)).map(str::to_owned));
    }
    if known.is_empty() {
        return Ok(None);
    }
    known.sort();
    known.dedup();
    Err(unknown("ControlNet module", asked, pointer, known.iter().map(String::as_str)))
}

/// The names in an answer of the extension.
fn names<'a>(list: &'a Value, key: &str) -> Option<Vec<&'a str>> {
    Some(list[key].as_array()?.iter().filter_map(Value::as_str).collect())
}
