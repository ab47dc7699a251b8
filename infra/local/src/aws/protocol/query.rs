//! Answers of the Query protocol, in XML: a list is an element with a `<member>` each, a map one with an `<entry>` each.

use std::borrow::Cow;
use std::io;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use serde_json::{Value, json};

use super::ServiceError;

/// The namespace of SNS's answers.
const XML_NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

/// For members that are maps: the names of an entry's key and value.
pub(super) fn map_names(member: &str) -> Option<(&'static str, &'static str)> {
    match member {
        "Attributes" => Some(("key", "value")),
        "MessageAttributes" => Some(("Name", "Value")),
        _ => None,
    }
}

pub(super) fn success(action: &str, output: &Value, request_id: &str) -> Response {
    respond(StatusCode::OK, request_id, |xml| {
        let root = format!("{action}Response");
        xml.create_element(root.as_str())
            .with_attribute(("xmlns", XML_NAMESPACE))
            .write_inner_content(|xml| {
                if output.as_object().is_some_and(|members| !members.is_empty()) {
                    structure(xml, &format!("{action}Result"), output)?;
                }
                structure(xml, "ResponseMetadata", &json!({"RequestId": request_id}))
            })
            .map(drop)
    })
}

pub(super) fn failure(error: &ServiceError, request_id: &str) -> Response {
    let body = json!({"Type": error.fault(), "Code": error.query_code, "Message": error.message});
    respond(error.status, request_id, |xml| {
        xml.create_element("ErrorResponse")
            .with_attribute(("xmlns", XML_NAMESPACE))
            .write_inner_content(|xml| {
                structure(xml, "Error", &body)?;
                member(xml, "RequestId", &json!(request_id))
            })
            .map(drop)
    })
}

type Xml = Writer<Vec<u8>>;

fn respond(status: StatusCode, request_id: &str, write: impl FnOnce(&mut Xml) -> io::Result<()>) -> Response {
    let mut xml = Writer::new(Vec::new());
    let written = xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    if let Err(error) = written.and_then(|()| write(&mut xml)) {
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
    }
    let headers = [(header::CONTENT_TYPE.as_str(), "text/xml"), ("x-amzn-requestid", request_id)];
    (status, headers, xml.into_inner()).into_response()
}

fn structure(xml: &mut Xml, element: &str, value: &Value) -> io::Result<()> {
    xml.create_element(element)
        .write_inner_content(|xml| {
            value.as_object().into_iter().flatten().try_for_each(|(name, value)| member(xml, name, value))
        })
        .map(drop)
}

fn member(xml: &mut Xml, name: &str, value: &Value) -> io::Result<()> {
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => list(xml, name, items, "member"),
        Value::Object(entries) => match map_names(name) {
            None => structure(xml, name, value),
            Some((key_name, value_name)) => {
                let items: Vec<Value> =
                    entries.iter().map(|(key, value)| json!({key_name: key, value_name: value})).collect();
                list(xml, name, &items, "entry")
            }
        },
        scalar => text(xml, name, &scalar_text(scalar)),
    }
}

fn list(xml: &mut Xml, element: &str, items: &[Value], item_element: &str) -> io::Result<()> {
    xml.create_element(element)
        .write_inner_content(|xml| {
            items.iter().try_for_each(|item| match item {
                Value::Object(_) => structure(xml, item_element, item),
                scalar => text(xml, item_element, &scalar_text(scalar)),
            })
        })
        .map(drop)
}

fn scalar_text(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| value.to_string().into(), Into::into)
}

/// A carriage return is escaped too: an XML reader would turn it into a line feed, and a message's MD5 would no
/// longer fit its body.
fn text(xml: &mut Xml, element: &str, content: &str) -> io::Result<()> {
    let escaped = quick_xml::escape::escape(content).replace('\r', "&#13;");
    xml.create_element(element).write_text_content(BytesText::from_escaped(escaped)).map(drop)
}
