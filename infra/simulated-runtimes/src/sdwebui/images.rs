//! Images in requests, and `POST /png-info`.

use std::{net::IpAddr, sync::Arc};

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use base64_simd::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use url::{Host, Url};

use super::{
    WebUi,
    errors::Failure,
    fields::{self, Field, Kind},
};
use crate::picture;

/// The bytes of an image field: base64 or a data URI. A URL is refused as SD WebUI refuses local ones; the simulation never
/// fetches anything.
pub(super) fn load(webui: &WebUi, value: &str) -> Result<Vec<u8>, Failure> {
    let refuse = |detail| Err(Failure::http(StatusCode::INTERNAL_SERVER_ERROR, detail));
    if value.starts_with("http://") || value.starts_with("https://") {
        let settings = webui.settings();
        return if settings.value("api_enable_requests") != json!(true) {
            refuse("Requests not allowed")
        } else if settings.value("api_forbid_local_requests") == json!(true) && is_local(value) {
            refuse("Request to local resource not allowed")
        } else {
            refuse("Invalid image url")
        };
    }
    let encoded = if value.starts_with("data:image/") {
        value.split_once(',').map_or("", |(_, encoded)| encoded)
    } else {
        value
    };
    let encoded: String = encoded.split_ascii_whitespace().collect();
    match BASE64.decode_to_vec(encoded) {
        Ok(image) if size(&image).is_some() => Ok(image),
        _ => refuse("Invalid encoded image"),
    }
}

/// SD WebUI resolves the host with its port attached, so a URL with a port never resolves and counts as local.
fn is_local(value: &str) -> bool {
    let Ok(url) = Url::parse(value) else { return true };
    let not_global = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified()
        }
    };
    url.port().is_some()
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => not_global(address.into()),
            Some(Host::Ipv6(address)) => not_global(address.into()),
            None => true,
        }
}

/// Width and height of an image file of any common format.
pub(super) fn size(image: &[u8]) -> Option<(u32, u32)> {
    let size = imagesize::blob_size(image).ok()?;
    Some((u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?))
}

const PNG_INFO: &[Field] = &[("image", Kind::Text, r#""""#)];

pub(super) async fn png_info(State(webui): State<Arc<WebUi>>, body: Bytes) -> Result<Json<Value>, Failure> {
    let fields = fields::validate(webui.dialect, &body, &[PNG_INFO])?;
    let image = load(&webui, fields.get("image").and_then(Value::as_str).unwrap_or_default())?;
    let mut items = Map::new();
    let mut infotext = String::new();
    for (keyword, text) in picture::text_chunks(&image) {
        if keyword == "parameters" {
            infotext = text;
        } else {
            items.insert(keyword, json!(text));
        }
    }
    Ok(Json(json!({"info": infotext, "items": items, "parameters": parameters(&infotext)})))
}

/// The defaults that the interface uses for what an infotext omits.
const ASSUMED: &str = r#"{"Clip skip": "1", "Hires resize-1": 0, "Hires resize-2": 0, "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler", "Hires checkpoint": "Use same checkpoint", "Hires prompt": "",
    "Hires negative prompt": "", "Mask mode": "Inpaint masked", "Masked content": "original",
    "Inpaint area": "Whole picture", "Masked area padding": 32, "RNG": "GPU", "Schedule max sigma": 0,
    "Schedule min sigma": 0, "Schedule rho": 0, "VAE Encoder": "Full", "VAE Decoder": "Full", "FP8 weight": "Disable",
    "Refiner switch by sampling steps": false, "Hires VAE/TE": ["Use same choices"]}"#;

/// Parses an infotext, as the interface does when it is pasted there.
fn parameters(infotext: &str) -> Map<String, Value> {
    let mut parameters = Map::new();
    let Some((prompts, settings)) = infotext.rsplit_once('\n') else { return parameters };
    for (name, value) in settings.split(", ").filter_map(|setting| setting.split_once(": ")) {
        match value.split_once('x').filter(|_| name == "Size") {
            Some((width, height)) => {
                parameters.insert("Size-1".to_owned(), json!(width));
                parameters.insert("Size-2".to_owned(), json!(height));
            }
            // The interface has no field to paste the model's name into.
            None if name == "Model" => {}
            None => _ = parameters.insert(name.to_owned(), json!(value)),
        }
    }
    let (prompt, negative) = prompts.split_once("\nNegative prompt: ").unwrap_or((prompts, ""));
    parameters.insert("Prompt".to_owned(), json!(prompt));
    parameters.insert("Negative prompt".to_owned(), json!(negative));
    let assumed: Map<String, Value> = serde_json::from_str(ASSUMED).unwrap_or_default();
    for (name, value) in assumed {
        parameters.entry(name).or_insert(value);
    }
    parameters
}
