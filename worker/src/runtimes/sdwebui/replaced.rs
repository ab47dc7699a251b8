//! Values that the server replaced, as far as its answer reports them: the caller is warned.

use serde_json::Value;
use shared_schema::notification::{Warning, WarningCode};
use shared_schema::violation::quoted;

use super::names::squeezed;
use super::request::Request;

/// The warnings of a generation with that `info`.
pub(super) fn warnings(request: &Request, info: &Value) -> impl Iterator<Item = Warning> {
    [sampler(request, info), scheduler(request, info)].into_iter().flatten()
}

fn sampler(request: &Request, info: &Value) -> Option<Warning> {
    let (field, asked) = ["sampler_name", "sampler_index"]
        .into_iter()
        .find_map(|field| Some((field, request.fields[field].as_str().filter(|name| !name.is_empty())?)))?;
    let ran = info["sampler_name"].as_str()?;
    // The name of a scheduler may follow, which the server takes apart.
    let with_schedule = schedule(info).map(|schedule| squeezed(&format!("{ran} {schedule}")));
    let is_it = squeezed(asked) == squeezed(ran) || with_schedule == Some(squeezed(asked));
    (!is_it).then(|| replaced("sampler", field, asked, ran))
}

fn scheduler(request: &Request, info: &Value) -> Option<Warning> {
    let asked = request.fields["scheduler"].as_str().filter(|name| !name.is_empty())?;
    let ran = schedule(info)?;
    let (asked_squeezed, ran_squeezed) = (squeezed(asked), squeezed(ran));
    // Where it is the sampler's own, servers call it automatic.
    let is_it =
        asked_squeezed == ran_squeezed || [&asked_squeezed, &ran_squeezed].contains(&&"automatic".to_owned());
    (!is_it).then(|| replaced("scheduler", "scheduler", asked, ran))
}

/// The scheduler that ran, where the text with the parameters names it.
fn schedule(info: &Value) -> Option<&str> {
    info["infotexts"][0].as_str()?.lines().last()?.split_once("Schedule type: ")?.1.split(", ").next()
}

fn replaced(what: &str, field: &str, asked: &str, ran: &str) -> Warning {
    let message = format!("the runtime ran the {what} {} instead of {}", quoted(ran), quoted(asked));
    Warning::new(WarningCode::ValueReplaced, message).at_field(format!("/content/{field}"))
}
