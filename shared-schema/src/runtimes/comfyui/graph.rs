//! The graph of a ComfyUI workflow: links to existing nodes, no cycles, and known nodes where a node list is at hand.
//!
//! ComfyUI looks at links only on the way from its output nodes backwards (`validate_prompt` in its `execution.py`): what
//! no output needs may link to nothing, or in a circle.

use serde_json::{Map, Value};

use super::class_type;
use super::links::{Link, links};
use crate::registry::NodeCatalogue;
use crate::violation::{pointer_segment, quoted};
use crate::{Violation, ViolationCode};

/// How many nodes of a cycle a message names.
const MAX_NAMED: usize = 10;

/// Words in the names of the classes that yield results.
const OUTPUTS: [&str; 6] = ["Save", "Preview", "Show", "Display", "VideoCombine", "WebSocket"];

/// What is wrong with the links and, given the runtime's node list, with the classes of the nodes.
pub(super) fn violations(nodes: &Map<String, Value>, catalogue: Option<&NodeCatalogue>) -> Vec<Violation> {
    let links = links(nodes);
    let needed = needed(nodes, &links, catalogue);
    let mut violations = Vec::new();
    for ((id, links), _) in nodes.keys().zip(&links).zip(&needed).filter(|(_, needed)| **needed) {
        for link in links {
            let pointer = || format!("/{}/inputs/{}", pointer_segment(id), pointer_segment(link.input));
            let fault = bad_link(link, nodes, catalogue);
            violations
                .extend(fault.map(|message| Violation::new(pointer(), ViolationCode::BadLink, message)));
        }
    }
    violations.extend(cycle(nodes, &links, &needed));
    if let Some(catalogue) = catalogue {
        violations.extend(unknown_nodes(nodes, catalogue));
        violations.extend(no_output(nodes, catalogue));
    }
    violations
}

/// The nodes that outputs need, outputs included: only these are checked and run.
///
/// Without a node list nobody knows which classes are outputs. Then those are taken for outputs whose names say so; if
/// there is none, every node may be one.
fn needed(
    nodes: &Map<String, Value>,
    links: &[Vec<Link<'_>>],
    catalogue: Option<&NodeCatalogue>,
) -> Vec<bool> {
    let is_output = |class: &str| match catalogue {
        Some(catalogue) => catalogue.0.get(class).is_some_and(|class| class.output_node),
        None => OUTPUTS.iter().any(|word| class.contains(word)),
    };
    let mut needed: Vec<bool> = nodes.values().map(|node| class_type(node).is_some_and(is_output)).collect();
    let mut open: Vec<usize> = (0..needed.len()).filter(|node| needed[*node]).collect();
    if open.is_empty() {
        return vec![true; nodes.len()];
    }
    while let Some(node) = open.pop() {
        for target in links[node].iter().filter_map(|link| link.target) {
            if !std::mem::replace(&mut needed[target], true) {
                open.push(target);
            }
        }
    }
    needed
}

/// The violations of a link. Other arrays are plain values: `[64, 64]`.
fn bad_link(
    link: &Link<'_>,
    nodes: &Map<String, Value>,
    catalogue: Option<&NodeCatalogue>,
) -> Option<String> {
    let id = link.id;
    if link.target.is_none() {
        return Some(format!("links to node {}, which does not exist", quoted(id)));
    }
    let Some(output) = link.output.as_number()?.as_u64() else {
        return Some("the output of a link must be a whole number from 0".to_owned());
    };
    let catalogue = catalogue?;
    let class = class_type(nodes.get(id)?)?;
    let listed = &catalogue.0.get(class)?.output;
    // Such a class may yield more than it lists: as many values as its inputs ask for.
    let is_open = listed.iter().any(|kind| kind == "*");
    let outputs = listed.len() as u64;
    (output >= outputs && !is_open).then(|| {
        let node = format!("node {} ({})", quoted(id), quoted(class));
        match outputs {
            0 => format!("links to an output of {node}, which has none"),
            _ => format!("links to output {output} of {node}, whose outputs are 0 to {}", outputs - 1),
        }
    })
}

fn unknown_nodes(nodes: &Map<String, Value>, catalogue: &NodeCatalogue) -> Vec<Violation> {
    let unknown = |(id, node): (&String, &Value)| {
        let class =
            class_type(node).filter(|class| !class.is_empty() && !catalogue.0.contains_key(*class))?;
        let pointer = format!("/{}/class_type", pointer_segment(id));
        let message = format!("this runtime has no node class {}", quoted(class));
        Some(Violation::new(pointer, ViolationCode::UnknownNode, message))
    };
    nodes.iter().filter_map(unknown).collect()
}

/// An unknown class may be one that yields something, so only a workflow of known nodes is judged.
fn no_output(nodes: &Map<String, Value>, catalogue: &NodeCatalogue) -> Option<Violation> {
    let yields = |node| {
        class_type(node).and_then(|class| catalogue.0.get(class)).is_none_or(|class| class.output_node)
    };
    let message = "no node yields a result; add one that saves, `SaveImage` for example";
    let none = !nodes.is_empty() && !nodes.values().any(yields);
    none.then(|| Violation::new("", ViolationCode::NoOutput, message))
}

/// The first cycle, at the input that closes it. Depth-first and without recursion, so that a long chain of nodes
/// cannot exhaust the stack.
fn cycle(nodes: &Map<String, Value>, links: &[Vec<Link<'_>>], needed: &[bool]) -> Option<Violation> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        OnPath,
        Done,
    }

    let ids: Vec<&String> = nodes.keys().collect();
    let mut states = vec![State::New; ids.len()];
    for start in 0..ids.len() {
        // The nodes from `start` to the current one, each with the number of its links that were followed.
        let mut path = vec![(start, 0)];
        if states[start] == State::Done || !needed[start] {
            continue;
        }
        while let Some((node, followed)) = path.last_mut() {
            let node = *node;
            states[node] = State::OnPath;
            let Some(link) = links[node].get(*followed) else {
                states[node] = State::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            let Some(target) = link.target else { continue };
            match states[target] {
                State::Done => {}
                State::New => path.push((target, 0)),
                State::OnPath => {
                    let members = path.iter().map(|(node, _)| *node).skip_while(|node| *node != target);
                    let members: Vec<&str> = members.map(|node| ids[node].as_str()).collect();
                    let pointer =
                        format!("/{}/inputs/{}", pointer_segment(ids[node]), pointer_segment(link.input));
                    return Some(Violation::new(pointer, ViolationCode::Cycle, describe(&members)));
                }
            }
        }
    }
    None
}

fn describe(members: &[&str]) -> String {
    let named: Vec<String> = members.iter().take(MAX_NAMED).map(|id| quoted(id)).collect();
    let rest = members.len().saturating_sub(MAX_NAMED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("these nodes wait for each other: {}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn catalogue() -> NodeCatalogue {
        serde_json::from_value(json!({
            "EmptyImage": {"output": ["IMAGE"], "output_node": false},
            "SaveImage": {"output": [], "output_node": true},
        }))
        .unwrap()
    }

    fn codes(content: &Value, catalogue: Option<&NodeCatalogue>) -> Vec<(String, ViolationCode)> {
        let found = violations(content.as_object().unwrap(), catalogue);
        found.into_iter().map(|violation| (violation.pointer, violation.code)).collect()
    }

    #[test]
    fn links_must_name_existing_nodes() {
        let content = json!({
            "1": {"class_type": "A", "inputs": {"size": [64, 64], "pair": ["a", "b"], "three": ["1", 0, 0]}},
            "57:12": {"class_type": "B", "inputs": {"ok": ["1", 0], "number": [1, 0], "true": ["1", true], "gone": ["9", 0], "gone too": ["9", true], "low": ["1", -1]}},
        });
        let expected = ["gone", "gone too", "low"];
        assert_eq!(
            codes(&content, None),
            expected.map(|input| (format!("/57:12/inputs/{input}"), ViolationCode::BadLink))
        );
    }

    #[test]
    fn a_node_list_adds_classes_outputs_and_results() {
        let content = json!({
            "1": {"class_type": "EmptyImage", "inputs": {}},
            "2": {"class_type": "EmptyImage", "inputs": {"image": ["1", 1]}},
        });
        let expected = [("/2/inputs/image", ViolationCode::BadLink), ("", ViolationCode::NoOutput)];
        assert_eq!(codes(&content, Some(&catalogue())), expected.map(|(at, code)| (at.to_owned(), code)));

        let content = json!({"1": {"class_type": "Nonsense", "inputs": {}}});
        assert_eq!(
            codes(&content, Some(&catalogue())),
            [("/1/class_type".to_owned(), ViolationCode::UnknownNode)]
        );
    }

    #[test]
    fn a_class_with_outputs_of_any_type_may_have_more_than_it_lists() {
        let catalogue: NodeCatalogue = serde_json::from_value(json!({
            "Switch": {"output": ["*"], "output_node": false},
            "SaveImage": {"output": [], "output_node": true},
        }))
        .unwrap();
        let content = json!({
            "1": {"class_type": "Switch", "inputs": {"select": 2}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 1]}},
        });
        assert_eq!(codes(&content, Some(&catalogue)), []);
    }

    #[test]
    fn a_cycle_is_reported_at_the_input_that_closes_it_with_its_nodes_only() {
        let content = json!({
            "in": {"class_type": "A", "inputs": {"x": ["a", 0]}},
            "a": {"class_type": "A", "inputs": {"x": ["b", 0]}},
            "b": {"class_type": "A", "inputs": {"free": ["c", 0], "y": ["a", 0]}},
            "c": {"class_type": "A", "inputs": {}},
        });
        let found = violations(content.as_object().unwrap(), None);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].pointer.as_str(), found[0].code), ("/b/inputs/y", ViolationCode::Cycle));
        assert_eq!(found[0].message, "these nodes wait for each other: `a`, `b`");
    }

    #[test]
    fn a_node_may_not_wait_for_itself() {
        let content = json!({"a": {"class_type": "A", "inputs": {"x": ["a", 0]}}});
        assert_eq!(codes(&content, None), [("/a/inputs/x".to_owned(), ViolationCode::Cycle)]);
    }

    #[test]
    fn only_what_outputs_need_is_judged() {
        let stray = json!({
            "1": {"class_type": "EmptyImage", "inputs": {}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
            "3": {"class_type": "ImageInvert", "inputs": {"image": ["99", 0]}},
            "4": {"class_type": "ImageInvert", "inputs": {"image": ["5", 0]}},
            "5": {"class_type": "ImageInvert", "inputs": {"image": ["4", 0]}},
        });
        assert_eq!(codes(&stray, None), []);
        let mut needed = stray.clone();
        needed["2"]["inputs"]["more"] = json!(["3", 0]);
        needed["2"]["inputs"]["most"] = json!(["5", 0]);
        let found: Vec<ViolationCode> = codes(&needed, None).into_iter().map(|(_, code)| code).collect();
        assert_eq!(found, [ViolationCode::BadLink, ViolationCode::Cycle]);

        let catalogue = serde_json::from_value(json!({
            "EmptyImage": {"output": ["IMAGE"]}, "ImageInvert": {"output": ["IMAGE"]},
            "SaveImage": {"output": [], "output_node": true},
        }))
        .unwrap();
        assert_eq!(codes(&stray, Some(&catalogue)), []);
        assert_eq!(codes(&needed, Some(&catalogue)).len(), 2);
    }

    #[test]
    fn a_long_chain_is_checked_without_deep_recursion() {
        const NODES: usize = 10_000;
        let node = |n: usize| {
            let next = (n + 1) % NODES;
            (
                n.to_string(),
                json!({"class_type": "A", "inputs": {"x": [next.to_string(), 0], "y": [next.to_string(), 0]}}),
            )
        };
        let nodes: Map<String, Value> = (0..NODES).map(node).collect();
        let found = violations(&nodes, None);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.ends_with("and 9990 more"), "{}", found[0].message);
    }
}
