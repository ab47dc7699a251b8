//! Answers of the Query protocol, in XML.

use std::borrow::Cow;
use std::io;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use serde_json::{Value, json};

use super::ServiceError;

/// What differs between the services in the Query protocol.
pub(crate) struct QueryShape {
    /// XML namespace of answers.
    pub(crate) xml_namespace: &'static str,
    /// What stands before `#` in the JSON protocol's `__type`.
    pub(crate) json_namespace: &'static str,
    /// Whether list elements stand directly in their parent (SQS) or as `<member>` in an element of their own (SNS).
    pub(crate) flattened: bool,
    /// The JSON protocol's name of a parameter whose name differs, such as `Attribute`.
    pub(crate) input_member: fn(&str) -> Option<&'static str>,
    /// The element that a member of an action's answer becomes.
    pub(crate) output_element: for<'a> fn(action: &str, member: &'a str) -> Cow<'a, str>,
    /// For members that are maps: the names of an entry's key and value.
    pub(crate) map_names: fn(member: &str) -> Option<(&'static str, &'static str)>,
}

pub(super) fn success(shape: &QueryShape, action: &str, output: &Value, request_id: &str) -> Response {
    let document = Document { shape, action };
    respond(StatusCode::OK, request_id, |xml| {
        let root = format!("{action}Response");
        xml.create_element(root.as_str())
            .with_attribute(("xmlns", shape.xml_namespace))
            .write_inner_content(|xml| {
                if output.as_object().is_some_and(|members| !members.is_empty()) {
                    document.structure(xml, &format!("{action}Result"), output)?;
                }
                document.structure(xml, "ResponseMetadata", &json!({"RequestId": request_id}))
            })
            .map(drop)
    })
}

pub(super) fn failure(shape: &QueryShape, error: &ServiceError, request_id: &str) -> Response {
    let document = Document { shape, action: "Error" };
    let body = json!({"Type": error.fault(), "Code": error.query_code, "Message": error.message});
    respond(error.status, request_id, |xml| {
        xml.create_element("ErrorResponse")
            .with_attribute(("xmlns", shape.xml_namespace))
            .write_inner_content(|xml| {
                document.structure(xml, "Error", &body)?;
                document.member(xml, "RequestId", &json!(request_id))
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

struct Document<'a> {
    shape: &'a QueryShape,
    action: &'a str,
}

impl Document<'_> {
    fn structure(&self, xml: &mut Xml, element: &str, value: &Value) -> io::Result<()> {
        xml.create_element(element)
            .write_inner_content(|xml| {
                for (name, value) in value.as_object().into_iter().flatten() {
                    self.member(xml, name, value)?;
                }
                Ok(())
            })
            .map(drop)
    }

    fn member(&self, xml: &mut Xml, name: &str, value: &Value) -> io::Result<()> {
        let element = (self.shape.output_element)(self.action, name);
        match value {
            Value::Null => Ok(()),
            Value::Array(items) => self.list(xml, &element, items, "member"),
            Value::Object(entries) => match (self.shape.map_names)(name) {
                None => self.structure(xml, &element, value),
                Some((key_name, value_name)) => {
                    let items: Vec<Value> = entries
                        .iter()
                        .map(|(key, value)| json!({key_name: key, value_name: value}))
                        .collect();
                    self.list(xml, &element, &items, "entry")
                }
            },
            scalar => text(xml, &element, &scalar_text(scalar)),
        }
    }

    fn list(&self, xml: &mut Xml, element: &str, items: &[Value], item_element: &str) -> io::Result<()> {
        if self.shape.flattened {
            return items.iter().try_for_each(|item| self.item(xml, element, item));
        }
        xml.create_element(element)
            .write_inner_content(|xml| items.iter().try_for_each(|item| self.item(xml, item_element, item)))
            .map(drop)
    }

    fn item(&self, xml: &mut Xml, element: &str, item: &Value) -> io::Result<()> {
        match item {
            Value::Object(_) => self.structure(xml, element, item),
            scalar => text(xml, element, &scalar_text(scalar)),
        }
    }
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
