//! `GET /openapi.json` and `GET /docs`: the description of `v1` (OpenAPI 3.1), and a page made from it.
//!
//! Both need no API key and no task records. The page needs nothing from elsewhere: it works offline.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::http::header;
use axum::response::{Html, IntoResponse};
use serde_json::{Map, Value};

/// The description. The suite checks each response of `v1` against it.
pub const DOCUMENT: &str = include_str!("openapi.json");

/// The page does not change, and has neither scripts nor anything of a caller's.
static PAGE: LazyLock<String> = LazyLock::new(page);

pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

pub(super) async fn html() -> impl IntoResponse {
    Html(PAGE.as_str())
}

fn page() -> String {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    let info = &document["info"];
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         code,pre{{font:14px/1.4 ui-monospace,monospace}}pre{{overflow:auto;background:#f4f4f4;padding:1rem}}\
         table{{border-collapse:collapse}}td,th{{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0}}\
         h2 code{{font-size:1.1rem}}</style><h1>{title}</h1><p>{description}</p><p>Each request has the header <code>x-api-key</code>. \
         The machine-readable description is <a href=\"openapi.json\">openapi.json</a>.</p>",
        title = text(&info["title"]),
        description = text(&info["description"]),
    );
    for (path, operations) in entries(&document["paths"]) {
        for (method, operation) in entries(operations) {
            add_operation(&mut html, &document, method, path, operation);
        }
    }
    html.push_str("<h1>Schemas</h1>");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let json = serde_json::to_string_pretty(schema).unwrap_or_default();
        let _ = write!(
            html,
            "<details id=\"{name}\"><summary><code>{name}</code></summary><pre>{}</pre></details>",
            escaped(&json)
        );
    }
    html.push_str("</html>");
    html
}

fn add_operation(html: &mut String, document: &Value, method: &str, path: &str, operation: &Value) {
    let _ = write!(
        html,
        "<h2><code>{} {}</code></h2><p>{}. {}</p>",
        method.to_uppercase(),
        escaped(path),
        text(&operation["summary"]),
        text(&operation["description"])
    );
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        html.push_str("<table><tr><th>parameter<th>in<th>meaning");
        for parameter in parameters {
            let parameter = resolved(document, parameter);
            let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
            let meaning = text(&parameter["description"]);
            let _ = write!(html, "<tr><td><code>{name}</code><td>{place}<td>{meaning}");
        }
        html.push_str("</table>");
    }
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if let Some(name) = schema_name(schema) {
        let _ = write!(html, "<p>Body: <a href=\"#{name}\"><code>{name}</code></a></p>");
    }
    html.push_str("<table><tr><th>status<th>body<th>meaning");
    for (status, response) in entries(&operation["responses"]) {
        let response = resolved(document, response);
        let schema = response["content"].as_object().and_then(|content| content.values().next());
        let name = schema.and_then(|content| schema_name(&content["schema"])).unwrap_or_default();
        let meaning = text(&response["description"]);
        let _ = write!(html, "<tr><td>{status}<td><a href=\"#{name}\"><code>{name}</code></a><td>{meaning}");
    }
    html.push_str("</table>");
}

/// What a reference refers to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn schema_name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields: Option<&Map<String, Value>> = value.as_object();
    fields.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemCode;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn codes_of_problems_are_those_of_the_code() {
        let listed = document()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].take();
        let mut listed: Vec<String> = serde_json::from_value(listed).unwrap();
        let mut codes = ProblemCode::ALL.map(|code| code.as_str().to_owned()).to_vec();
        listed.sort();
        codes.sort();
        assert_eq!(listed, codes);
    }

    #[test]
    fn a_new_task_is_what_the_contract_accepts() {
        let mut contract: Value = serde_json::from_str(shared_schema::schema::v1().text()).unwrap();
        for own in ["$schema", "$id", "description"] {
            contract.as_object_mut().unwrap().shift_remove(own);
        }
        let mut described = document()["components"]["schemas"]["NewTask"].take();
        described.as_object_mut().unwrap().shift_remove("description");
        assert_eq!(described, contract);
    }

    #[test]
    fn references_have_targets_and_the_page_shows_each_operation() {
        fn check(document: &Value, value: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(target) = fields.get("$ref") {
                        let pointer = target.as_str().unwrap().strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{target}");
                    }
                    fields.values().for_each(|value| check(document, value));
                }
                Value::Array(items) => items.iter().for_each(|value| check(document, value)),
                _ => {}
            }
        }
        let document = document();
        check(&document, &document);
        let page = page();
        for (path, operations) in entries(&document["paths"]) {
            for (method, _) in entries(operations) {
                assert!(page.contains(&format!("<code>{} {path}</code>", method.to_uppercase())), "{path}");
            }
        }
        assert!(!page.contains("<script") && !page.contains("http"), "the page works offline");
    }
}
