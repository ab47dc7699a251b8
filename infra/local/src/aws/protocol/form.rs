//! Requests of the Query protocol: `Action=Subscribe&Attributes.entry.1.key=RawMessageDelivery&...`

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ServiceError;
use super::query::map_names;

/// The parameters of one request, by their dotted names.
#[derive(Debug)]
pub(crate) struct Form(BTreeMap<String, Node>);

#[derive(Debug)]
enum Node {
    Leaf(String),
    Branch(BTreeMap<String, Node>),
}

impl Form {
    /// Reads a form body or a query string.
    pub(crate) fn parse(encoded: &[u8]) -> Result<Self, ServiceError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(encoded)
            .map_err(|error| ServiceError::same("MalformedQueryString", error.to_string()))?;
        let mut root = BTreeMap::new();
        for (name, value) in pairs {
            insert(&mut root, &name, value);
        }
        Ok(Self(root))
    }

    /// The `Action` parameter, or nothing.
    pub(crate) fn action(&self) -> &str {
        self.text("Action").unwrap_or_default()
    }

    /// A top-level parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Node::Leaf(text)) => Some(text),
            _ => None,
        }
    }

    /// The parameters in the shape of the JSON protocol.
    pub(super) fn into_input(self) -> Value {
        structure(self.0)
    }
}

fn insert(branch: &mut BTreeMap<String, Node>, name: &str, value: String) {
    let Some((first, rest)) = name.split_once('.') else {
        branch.insert(name.to_owned(), Node::Leaf(value));
        return;
    };
    let child = branch.entry(first.to_owned()).or_insert_with(|| Node::Branch(BTreeMap::new()));
    if let Node::Branch(child) = child {
        insert(child, rest, value);
    }
}

fn structure(members: BTreeMap<String, Node>) -> Value {
    let members = members.into_iter().map(|(member, node)| {
        let value = value(node);
        let value = if map_names(&member).is_some() { entries(value) } else { value };
        (member, value)
    });
    Value::Object(members.collect())
}

fn value(node: Node) -> Value {
    let mut children = match node {
        Node::Leaf(text) => return Value::String(text),
        Node::Branch(children) => children,
    };
    if children.len() == 1
        && let Some(list) = children.remove("member").or_else(|| children.remove("entry"))
    {
        return value(list);
    }
    let numbered: Option<BTreeMap<u32, &String>> =
        children.keys().map(|name| Some((name.parse().ok()?, name))).collect();
    let Some(numbered) = numbered else { return structure(children) };
    let order: Vec<String> = numbered.into_values().cloned().collect();
    Value::Array(order.iter().filter_map(|name| children.remove(name)).map(value).collect())
}

/// `[{"Name": n, "Value": v}, ...]`, or with `key` and `value`, as the map `{n: v, ...}`.
fn entries(list: Value) -> Value {
    let Value::Array(list) = list else { return list };
    let mut map = Map::new();
    for mut entry in list {
        let mut take = |names: [&str; 2]| names.iter().find_map(|name| entry.get_mut(*name).map(Value::take));
        if let (Some(Value::String(key)), Some(value)) = (take(["Name", "key"]), take(["Value", "value"])) {
            map.insert(key, value);
        }
    }
    Value::Object(map)
}
