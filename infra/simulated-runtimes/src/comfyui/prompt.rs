//! `/prompt`: queues a prompt, and returns the number of remaining ones.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{ConnectInfo, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Comfy,
    job::{self, Job},
    messages,
    validation::{self, Refusal},
};
use crate::{
    connection::Cutter,
    faults::{Fault, Occasion},
};

/// Credentials in `extra_data` that queue and history do not show.
const HIDDEN_KEYS: [&str; 2] = ["auth_token_comfy_org", "api_key_comfy_org"];

pub(super) async fn depth(State(comfy): State<Arc<Comfy>>) -> Response {
    super::json(StatusCode::OK, &json!({"exec_info": {"queue_remaining": comfy.queue().remaining()}}))
}

pub(super) async fn post(
    State(comfy): State<Arc<Comfy>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    body: Bytes,
) -> Response {
    let fault = comfy.machine.faults.next(Occasion::Request);
    match fault {
        Some(Fault::PlainText { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return (status, "upstream error").into_response();
        }
        Some(Fault::NotJson) => return "<html><body>Please wait</body></html>".into_response(),
        Some(Fault::DropBeforeWork) => {
            cutter.cut();
            return StatusCode::OK.into_response();
        }
        _ => {}
    }
    let answer = enqueue(&comfy, &body).unwrap_or_else(|trouble| trouble);
    if fault == Some(Fault::DropAfterWork) {
        cutter.cut();
    }
    answer
}

/// Checks and queues a prompt. `Err` is the bare text that ComfyUI answers when the shape of the request raises an exception.
fn enqueue(comfy: &Comfy, body: &[u8]) -> Result<Response, Response> {
    let trouble = |()| super::trouble();
    let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else { return Err(super::trouble()) };
    let number = number(comfy, &body).map_err(trouble)?;
    let Some(prompt) = body.shift_remove("prompt") else {
        return Ok(refuse(&Refusal::new("no_prompt", "No prompt provided", "No prompt provided")));
    };
    let id = match prompt_id(comfy, body.get("prompt_id")) {
        Ok(id) => id,
        Err(refusal) => return Ok(refuse(&refusal)),
    };
    if comfy.version.refuses_repeated_ids() && (comfy.queue().has(&id) || comfy.history().get(&id).is_some())
    {
        let refusal = Refusal::new("duplicate_prompt_id", "prompt_id is already in use", "");
        let Refusal { error, node_errors } = &refusal;
        return Ok(super::json(StatusCode::CONFLICT, &json!({"error": error, "node_errors": node_errors})));
    }
    let Value::Object(mut prompt) = prompt else { return Err(super::trouble()) };
    if prompt.values().any(|node| !node.is_object()) {
        return Err(super::trouble());
    }
    let targets = body.get("partial_execution_targets").and_then(Value::as_array);
    let valid = match validation::validate(comfy, &mut prompt, targets.map(Vec::as_slice)) {
        Ok(valid) => valid,
        Err(refusal) => return Ok(refuse(&refusal)),
    };
    let mut extra_data = match body.shift_remove("extra_data") {
        None => Map::new(),
        Some(Value::Object(extra_data)) => extra_data,
        Some(_) => return Err(super::trouble()),
    };
    if let Some(client) = body.get("client_id") {
        extra_data.insert("client_id".to_owned(), client.clone());
    }
    extra_data.retain(|key, _| !HIDDEN_KEYS.contains(&key.as_str()));
    extra_data.insert("create_time".to_owned(), json!(job::now()));
    let answer = json!({"prompt_id": id, "number": number, "node_errors": valid.node_errors});
    let queued = comfy.queue().push(Job { number, id, prompt, extra_data, outputs: valid.outputs });
    messages::status(comfy);
    comfy.queued.notify_one();
    if queued { Ok(super::json(StatusCode::OK, &answer)) } else { Err(super::trouble()) }
}

/// The place in the queue: from the request, else the count of prompts so far, negative to go to the front.
fn number(comfy: &Comfy, body: &Map<String, Value>) -> Result<Value, ()> {
    match body.get("number") {
        Some(Value::Number(number)) => Ok(json!(number.as_f64())),
        Some(Value::String(number)) => number.trim().parse::<f64>().map(|number| json!(number)).map_err(drop),
        Some(_) => Err(()),
        None => {
            let count = comfy.queue().count();
            let front = body.get("front").and_then(Value::as_bool).unwrap_or_default();
            Ok(json!(if front { -count } else { count }))
        }
    }
}

/// A UUID in its usual form, or a fresh one if there is none.
fn prompt_id(comfy: &Comfy, value: Option<&Value>) -> Result<String, Refusal> {
    if let Some(value) = value.filter(|_| !comfy.version.wants_uuids()) {
        return Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let canonical = |id: &&str| Uuid::parse_str(id).is_ok_and(|uuid| uuid.hyphenated().to_string() == **id);
    match value {
        None | Some(Value::Null) => Ok(Uuid::new_v4().to_string()),
        Some(value) => value.as_str().filter(canonical).map(str::to_owned).ok_or_else(|| {
            let message = "prompt_id must be a canonical lowercase hyphenated UUID string";
            Refusal::new("invalid_prompt_id", message, "")
        }),
    }
}

fn refuse(refusal: &Refusal) -> Response {
    let Refusal { error, node_errors } = refusal;
    super::json(StatusCode::BAD_REQUEST, &json!({"error": error, "node_errors": node_errors}))
}
