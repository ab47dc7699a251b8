//! How SNS writes lists and maps in the Query protocol, its only one.

use std::borrow::Cow;

use crate::aws::protocol::QueryShape;

pub(crate) const SHAPE: QueryShape = QueryShape {
    xml_namespace: "http://sns.amazonaws.com/doc/2010-03-31/",
    json_namespace: "com.amazonaws.sns",
    flattened: false,
    input_member: |_| None,
    output_element: |_, member| Cow::Borrowed(member),
    map_names,
};

fn map_names(member: &str) -> Option<(&'static str, &'static str)> {
    match member {
        "Attributes" => Some(("key", "value")),
        "MessageAttributes" => Some(("Name", "Value")),
        _ => None,
    }
}
