//! Names in a request that servers silently replace when they do not know them: looked up before the run in what the
//! server lists, and sent in its spelling.

use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::violation::{listed, quoted};

use super::client::Client;
use super::control_nets;
use super::models::MODULES;
use super::request::{Endpoint, Request, is_on};
use super::server::Server;
use crate::error::TaskError;

/// The pointer of a name in the body, what it is called, and which endpoints list the names that the server knows.
struct Named {
    pointer: &'static str,
    what: &'static str,
    lists: &'static [&'static str],
    /// Values that are no names.
    others: &'static [&'static str],
}

const SAMPLERS: &[&str] = &["samplers"];
const SCHEDULERS: &[&str] = &["schedulers"];
const UPSCALERS: &[&str] = &["upscalers", "latent-upscale-modes"];

/// Names that each generation may have.
const OF_GENERATIONS: [Named; 4] = [
    Named { pointer: "/sampler_name", what: "sampler", lists: SAMPLERS, others: &[] },
    Named { pointer: "/scheduler", what: "scheduler", lists: SCHEDULERS, others: &[] },
    Named {
        pointer: "/override_settings/sd_vae",
        what: "VAE",
        lists: &["sd-vae"],
        others: &["Automatic", "None"],
    },
    Named {
        pointer: "/override_settings/upscaler_for_img2img",
        what: "upscaler",
        lists: &["upscalers"],
        others: &["None"],
    },
];

/// What servers use where there is no `sampler_name`.
const FORMER_SAMPLER: [Named; 1] =
    [Named { pointer: "/sampler_index", what: "sampler", lists: SAMPLERS, others: &[] }];

/// Names of the second pass.
const OF_SECOND_PASSES: [Named; 3] = [
    Named { pointer: "/hr_upscaler", what: "upscaler", lists: UPSCALERS, others: &["None"] },
    Named { pointer: "/hr_sampler_name", what: "sampler", lists: SAMPLERS, others: &["Use same sampler"] },
    Named { pointer: "/hr_scheduler", what: "scheduler", lists: SCHEDULERS, others: &["Use same scheduler"] },
];

/// Names of enlargements.
const OF_EXTRAS: [Named; 2] = [
    Named { pointer: "/upscaler_1", what: "upscaler", lists: &["upscalers"], others: &["None"] },
    Named { pointer: "/upscaler_2", what: "upscaler", lists: &["upscalers"], others: &["None"] },
];

/// Looks the request's names up, and gives the server what it needs beside them.
pub(super) async fn resolve(
    client: &Client,
    server: &Server,
    request: &mut Request,
) -> Result<(), TaskError> {
    if !request.endpoint.generates() {
        return look_up_all(client, server, request, &OF_EXTRAS).await;
    }
    look_up_all(client, server, request, &OF_GENERATIONS).await?;
    if text(&request.fields, "/sampler_name").is_none() {
        look_up_all(client, server, request, &FORMER_SAMPLER).await?;
    }
    if request.fields.get("enable_hr").is_some_and(is_on) {
        look_up_all(client, server, request, &OF_SECOND_PASSES).await?;
        let modules = &request.fields["hr_additional_modules"];
        if modules.is_null() && server.is_forge(client).await? {
            // Without them Forge fails after the first pass; its page sends this.
            request.fields["hr_additional_modules"] = json!(["Use same choices"]);
        }
    }
    let layers = request.settings().and_then(|settings| settings.get("CLIP_stop_at_last_layers")).cloned();
    if let (Some(layers), true) = (layers, request.fields["clip_skip"].is_null())
        && server.is_sd_next(client).await?
    {
        // The setting does nothing there.
        request.fields["clip_skip"] = layers;
    }
    script(client, server, request).await?;
    modules(client, server, request).await?;
    control_nets::resolve(client, server, request).await
}

async fn look_up_all(
    client: &Client,
    server: &Server,
    request: &mut Request,
    all: &[Named],
) -> Result<(), TaskError> {
    for named in all {
        let Some(asked) = text(&request.fields, named.pointer) else { continue };
        if named.others.contains(&asked) {
            continue;
        }
        let asked = asked.to_owned();
        let spelling = look_up(client, server, named, &asked).await?;
        if let (Some(spelling), Some(field)) = (spelling, request.fields.pointer_mut(named.pointer)) {
            *field = Value::String(spelling);
        }
    }
    Ok(())
}

/// The server's spelling of the name; `None` where the server does not list such names.
async fn look_up(
    client: &Client,
    server: &Server,
    named: &Named,
    asked: &str,
) -> Result<Option<String>, TaskError> {
    let mut known = Names::default();
    for is_again in [false, true] {
        known = Names::default();
        let mut is_complete = true;
        for path in named.lists {
            let list = match is_again {
                false => server.list(client, path).await,
                true => server.list_fresh(client, path).await,
            };
            is_complete &= list.is_some();
            known.extend(list.as_deref());
        }
        if known.0.is_empty() {
            return Ok(None);
        }
        let mut found = known.find(asked).map(str::to_owned);
        if found.is_none() && named.what == "sampler" {
            let mut schedulers = Names::default();
            schedulers.extend(server.list(client, "schedulers").await.as_deref());
            found = known.find_with_suffix(asked, &schedulers);
        }
        if found.is_some() || !is_complete {
            return Ok(found);
        }
    }
    Err(unknown(named.what, asked, &format!("/content{}", named.pointer), known.titles()))
}

/// SD.Next ignores a script that it does not have. Others refuse it, later.
async fn script(client: &Client, server: &Server, request: &Request) -> Result<(), TaskError> {
    let Some(asked) = text(&request.fields, "/script_name").filter(|name| !name.eq_ignore_ascii_case("none"))
    else {
        return Ok(());
    };
    let endpoint = if request.endpoint == Endpoint::Img2img { "img2img" } else { "txt2img" };
    let is_asked = |name: &str| {
        [name, name.split(':').next().unwrap_or(name)].iter().any(|name| squeezed(name) == squeezed(asked))
    };
    let names = |scripts: &Value| -> Vec<String> {
        let names = scripts[endpoint].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    };
    let holds = |scripts: &Value| names(scripts).iter().any(|name| is_asked(name));
    let Some(scripts) = server.list_with(client, "scripts", holds).await else { return Ok(()) };
    let names = names(&scripts);
    if names.is_empty() || names.iter().any(|name| is_asked(name)) {
        return Ok(());
    }
    Err(unknown("script", asked, "/content/script_name", names.iter().map(String::as_str)))
}

/// Forge leaves out modules that it does not have. It goes by the names of files.
async fn modules(client: &Client, server: &Server, request: &Request) -> Result<(), TaskError> {
    let asked = request.settings().and_then(|settings| settings.get(MODULES)).and_then(Value::as_array);
    for (n, asked) in asked.into_iter().flatten().enumerate() {
        let Some(asked) = asked.as_str() else { continue };
        let file = asked.rsplit(['/', '\\']).next().unwrap_or(asked);
        let names = |list: &Value| {
            let mut known = Names::default();
            known.extend(Some(list));
            known
        };
        let holds = |list: &Value| names(list).0.iter().any(|name| name.title == file);
        let Some(list) = server.list_with(client, "sd-modules", holds).await else { return Ok(()) };
        let known = names(&list);
        if !known.0.iter().any(|name| name.title == file) {
            let pointer = format!("/content/override_settings/{MODULES}/{n}");
            return Err(unknown("module", file, &pointer, known.titles()));
        }
    }
    Ok(())
}

fn text<'a>(fields: &'a Value, pointer: &str) -> Option<&'a str> {
    fields.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

/// The error for a name that the server does not have.
pub(super) fn unknown<'a>(
    what: &str,
    asked: &str,
    pointer: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> TaskError {
    let has = match known.clone().next() {
        Some(_) => format!("it has {}", listed(known)),
        None => "it has none".to_owned(),
    };
    let message = format!("the runtime has no {what} called {}; {has}", quoted(asked));
    TaskError::new(ErrorCode::RuntimeRejected, message).at_field(pointer)
}

/// Names that a server lists.
#[derive(Debug, Default)]
struct Names(Vec<Name>);

#[derive(Debug)]
struct Name {
    /// What the server takes.
    title: String,
    /// What people call it, too.
    aliases: Vec<String>,
}

impl Names {
    /// Adds those of an endpoint's answer: objects with a `name` or `model_name`, and perhaps a `label` and `aliases`.
    fn extend(&mut self, list: Option<&Value>) {
        for item in list.and_then(Value::as_array).into_iter().flatten() {
            let Some(title) = item["name"].as_str().or(item["model_name"].as_str()) else { continue };
            let aliases = item["aliases"].as_array().into_iter().flatten().chain([&item["label"]]);
            let aliases = aliases.filter_map(Value::as_str).map(str::to_owned).collect();
            self.0.push(Name { title: title.to_owned(), aliases });
        }
    }

    fn titles(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|name| name.title.as_str())
    }

    /// The name that is asked for: itself, or spelt otherwise (`k_euler_a`, `euler a`).
    fn find(&self, asked: &str) -> Option<&str> {
        let by = |same: &dyn Fn(&str) -> bool| {
            let is_it = |name: &&Name| same(&name.title) || name.aliases.iter().any(|alias| same(alias));
            self.0.iter().find(is_it).map(|name| name.title.as_str())
        };
        self.titles()
            .find(|title| *title == asked)
            .or_else(|| by(&|name| name == asked))
            .or_else(|| by(&|name| squeezed(name) == squeezed(asked)))
    }

    /// A name of the time before schedulers were separate, such as `DPM++ 2M Karras`, which servers still take apart.
    fn find_with_suffix(&self, asked: &str, schedulers: &Names) -> Option<String> {
        asked.match_indices(' ').find_map(|(at, _)| {
            let (sampler, suffix) = (&asked[..at], &asked[at + 1..]);
            let scheduler = schedulers.0.iter().find(|name| {
                let spellings = name.aliases.iter().chain([&name.title]);
                spellings.into_iter().any(|spelling| spelling.eq_ignore_ascii_case(suffix))
            })?;
            let label = scheduler.aliases.last().unwrap_or(&scheduler.title);
            Some(format!("{} {label}", self.find(sampler)?))
        })
    }
}

/// What is left of a name when its spelling is left out of account.
pub(super) fn squeezed(name: &str) -> String {
    let name = name.strip_prefix("k_").unwrap_or(name);
    name.chars().filter(|c| c.is_alphanumeric() || *c == '+').flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: Value) -> Names {
        let mut names = Names::default();
        names.extend(Some(&list));
        names
    }

    #[test]
    fn a_sampler_is_found_in_every_spelling() {
        let samplers = names(json!([
            {"name": "DPM++ 2M", "aliases": ["k_dpmpp_2m"]},
            {"name": "Euler a", "aliases": ["k_euler_a", "k_euler_ancestral"]},
            {"name": "Euler", "aliases": ["k_euler"]},
        ]));
        for (asked, found) in [
            ("Euler", Some("Euler")),
            ("euler", Some("Euler")),
            ("k_euler_ancestral", Some("Euler a")),
            ("euler_a", Some("Euler a")),
            ("dpm++ 2m", Some("DPM++ 2M")),
            ("NoSuch", None),
            ("DPM++ 2M Karras", None),
        ] {
            assert_eq!(samplers.find(asked), found, "{asked}");
        }
        let schedulers = names(json!([
            {"name": "karras", "label": "Karras", "aliases": null},
            {"name": "sgm_uniform", "label": "SGM Uniform", "aliases": ["SGMUniform"]},
        ]));
        for (asked, found) in [
            ("DPM++ 2M Karras", Some("DPM++ 2M Karras")),
            ("dpm++ 2m sgm uniform", Some("DPM++ 2M SGM Uniform")),
            ("Euler a karras", Some("Euler a Karras")),
            ("NoSuch Karras", None),
            ("Euler Fancy", None),
        ] {
            assert_eq!(samplers.find_with_suffix(asked, &schedulers).as_deref(), found, "{asked}");
        }
    }
}
