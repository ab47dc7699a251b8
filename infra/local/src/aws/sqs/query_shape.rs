//! The names of SQS's Query protocol, where they differ from those of its JSON protocol.

use std::borrow::Cow;

use crate::aws::protocol::QueryShape;

pub(crate) const SHAPE: QueryShape = QueryShape {
    xml_namespace: "http://queue.amazonaws.com/doc/2012-11-05/",
    json_namespace: "com.amazonaws.sqs",
    flattened: true,
    input_member,
    output_element,
    map_names,
};

fn input_member(element: &str) -> Option<&'static str> {
    Some(match element {
        "Attribute" => "Attributes",
        "AttributeName" => "AttributeNames",
        "MessageAttribute" => "MessageAttributes",
        "MessageAttributeName" => "MessageAttributeNames",
        "MessageSystemAttribute" => "MessageSystemAttributes",
        "MessageSystemAttributeName" => "MessageSystemAttributeNames",
        "SendMessageBatchRequestEntry"
        | "DeleteMessageBatchRequestEntry"
        | "ChangeMessageVisibilityBatchRequestEntry" => "Entries",
        "Tag" => "Tags",
        "TagKey" => "TagKeys",
        _ => return None,
    })
}

fn output_element<'a>(action: &str, member: &'a str) -> Cow<'a, str> {
    match member {
        "Attributes" => "Attribute".into(),
        "MessageAttributes" => "MessageAttribute".into(),
        "Messages" => "Message".into(),
        "QueueUrls" | "queueUrls" => "QueueUrl".into(),
        "Tags" => "Tag".into(),
        "Failed" => "BatchResultErrorEntry".into(),
        "Successful" => format!("{action}ResultEntry").into(),
        other => other.into(),
    }
}

fn map_names(member: &str) -> Option<(&'static str, &'static str)> {
    match member {
        "Attributes" | "MessageAttributes" | "MessageSystemAttributes" => Some(("Name", "Value")),
        "Tags" => Some(("Key", "Value")),
        _ => None,
    }
}
