//! What the server left out of a run because it does not have it: networks that a prompt names (`<lora:NAME:1>`), and styles. It
//! does not report it in its answer, so the warning is derived from what the server lists.

use serde_json::Value;
use shared_schema::notification::{Warning, WarningCode};
use shared_schema::violation::listed;

use super::client::Client;
use super::request::{Request, is_on};
use super::server::Server;

/// Where networks are listed.
const LORAS: &str = "loras";

/// Where styles are listed.
const STYLES: &str = "prompt-styles";

/// How a prompt names a network. The second is an alias of the first.
const TAGS: [&str; 2] = ["<lora:", "<lyco:"];

/// The warnings of a run that is over. A server that does not know a network looks for its file once more before the run, so the
/// list is fetched afterwards; lists that held what earlier tasks named are kept.
pub(super) async fn warnings(client: &Client, server: &Server, request: &Request) -> Vec<Warning> {
    if !request.endpoint.generates() {
        return Vec::new();
    }
    let is_set = |field: &str| request.fields.get(field).is_some_and(is_on);
    let mut warnings = Vec::new();
    let prompts =
        ["prompt", "hr_prompt"].into_iter().filter(|field| *field == "prompt" || is_set("enable_hr"));
    for field in prompts.filter(|_| !is_set("disable_extra_networks")) {
        let asked = networks(request.fields[field].as_str().unwrap_or_default());
        let unknown = unknown(client, server, LORAS, asked, is_network).await;
        warnings.extend(left_out("LoRA", &unknown, field));
    }
    let styles = request.fields["styles"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let asked = styles.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("none")).collect();
    let unknown = unknown(client, server, STYLES, asked, |style, name| style["name"] == name).await;
    warnings.extend(left_out("style", &unknown, "styles"));
    warnings
}

/// The networks that a prompt names.
fn networks(prompt: &str) -> Vec<&str> {
    let tags = TAGS.iter().flat_map(|tag| prompt.match_indices(tag));
    let named = tags.filter_map(|(at, tag)| {
        let (arguments, _) = prompt[at + tag.len()..].split_once('>')?;
        arguments.split(':').next()
    });
    named.filter(|name| !name.is_empty()).collect()
}

/// Whether the entry is the network of that name: servers know it by its own, by the one in the file, and by that of the file.
fn is_network(entry: &Value, name: &str) -> bool {
    let path = entry["path"].as_str().unwrap_or_default();
    let path = path.rsplit_once('.').map_or(path, |(path, _)| path);
    let stem = path.rsplit(['/', '\\']).next().unwrap_or_default();
    entry["name"] == name || entry["alias"] == name || stem == name || path == name
}

/// Those of the names that the server does not list; none where it does not list such names.
async fn unknown<'a>(
    client: &Client,
    server: &Server,
    path: &'static str,
    mut asked: Vec<&'a str>,
    is_it: impl Fn(&Value, &str) -> bool,
) -> Vec<&'a str> {
    if asked.is_empty() {
        return asked;
    }
    let is_unknown = |list: &Value, name: &str| {
        list.as_array().is_some_and(|entries| !entries.iter().any(|entry| is_it(entry, name)))
    };
    asked.sort_unstable();
    asked.dedup();
    let holds = |list: &Value| !asked.iter().any(|name| is_unknown(list, name));
    let Some(list) = server.list_with(client, path, holds).await else { return Vec::new() };
    asked.retain(|name| is_unknown(&list, name));
    asked
}

fn left_out(what: &str, unknown: &[&str], field: &str) -> Option<Warning> {
    if unknown.is_empty() {
        return None;
    }
    let names = listed(unknown.iter().copied());
    let message = format!("the runtime has no {what} called {names}, and ran without");
    Some(Warning::new(WarningCode::ValueIgnored, message).at_field(format!("/content/{field}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn networks_are_named_as_servers_read_prompts() {
        for (prompt, names) in [
            ("a dog <lora:fur:0.8>, <lyco:mist>", vec!["fur", "mist"]),
            ("<lora:a b:1:0.5><lora:c>", vec!["a b", "c"]),
            ("<lora:open", vec![]),
            ("<lora:>, <hypernet:x:1>, lora:y", vec![]),
        ] {
            assert_eq!(networks(prompt), names, "{prompt}");
        }
    }

    #[test]
    fn a_network_has_several_names() {
        let entry =
            json!({"name": "fur_v2", "alias": "Fur", "path": "C:\\models\\Lora\\furry.v2.safetensors"});
        for name in ["fur_v2", "Fur", "furry.v2"] {
            assert!(is_network(&entry, name), "{name}");
        }
        for name in ["fur", "furry", ""] {
            assert!(!is_network(&entry, name), "{name}");
        }
    }
}
