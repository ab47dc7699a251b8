//! Nodes that ComfyUI expands into others during a run, such as the end of a loop into its further turns.
//!
//! What the nodes show that were made is listed under ids of their own (`8.0.0.3` of `8`). Nothing of them is listed when the
//! node that made them comes out of the cache, since it is not expanded then.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use super::history::Entry;
use super::order;
use super::workflow;

/// The classes whose nodes were seen to make others that show something.
#[derive(Debug, Default)]
pub(super) struct Makers(Mutex<HashSet<String>>);

impl Makers {
    /// Learns from a run which nodes of its workflow make others that show something.
    pub(super) fn learn(&self, workflow: &Map<String, Value>, entry: &Entry) {
        let classes = makers(workflow, entry).into_iter().filter_map(|id| class(&workflow[id]));
        self.lock().extend(classes.map(str::to_owned));
    }

    /// The nodes that came out of the cache and hide what others, which they would have made, have to show.
    ///
    /// What the end of a loop makes depends on the workflow; of other nodes their class says it.
    pub(super) fn hiding(&self, workflow: &Map<String, Value>, entry: &Entry) -> Vec<String> {
        let expanded = makers(workflow, entry);
        let known = self.lock();
        let makes_others = |id: &str| match workflow.get(id).and_then(class) {
            Some(class) if ends_a_loop(class) => repeats_an_output(workflow, id),
            Some(class) => known.contains(class),
            None => false,
        };
        let hiding = entry.cached().filter(|id| !expanded.contains(id) && makes_others(id));
        hiding.map(str::to_owned).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The nodes of the workflow that made others which show something.
fn makers<'a>(workflow: &Map<String, Value>, entry: &'a Entry) -> HashSet<&'a str> {
    let shown = entry.outputs.as_object().into_iter().flat_map(Map::keys);
    shown.filter(|id| !workflow.contains_key(*id)).filter_map(|id| order::maker(id, workflow)).collect()
}

fn class(node: &Value) -> Option<&str> {
    node["class_type"].as_str()
}

/// Whether nodes of that class are a part of what makes a loop, whose turns know each other by links only.
pub(super) fn belongs_to_a_loop(class: &str) -> bool {
    class.to_ascii_lowercase().contains("loop")
}

/// `easy forLoopEnd`, `easy whileLoopEnd`, `WhileLoopClose`, `Loop End`, ….
fn ends_a_loop(class: &str) -> bool {
    let letters: String = class.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    letters.contains("loopend") || letters.contains("loopclose")
}

/// Whether a node that no other uses, as those that save, is between the start of the loop and its end: each turn has its own.
fn repeats_an_output(workflow: &Map<String, Value>, end: &str) -> bool {
    let belongs = |id: &&str| workflow.get(*id).and_then(class).is_some_and(belongs_to_a_loop);
    let starts: Vec<&str> = workflow::links(&workflow[end]).filter(belongs).collect();
    let users = users(workflow);
    let behind_the_end = downstream(&users, vec![end]);
    let mut inside = downstream(&users, starts).into_iter().filter(|id| !behind_the_end.contains(id));
    inside.any(|id| workflow.contains_key(id) && !users.contains_key(id))
}

/// The nodes that use each node.
fn users(workflow: &Map<String, Value>) -> HashMap<&str, Vec<&str>> {
    let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
    for (id, node) in workflow {
        for used in workflow::links(node) {
            users.entry(used).or_default().push(id);
        }
    }
    users
}

/// These nodes, and all that depend on them.
fn downstream<'a>(users: &HashMap<&'a str, Vec<&'a str>>, mut from: Vec<&'a str>) -> HashSet<&'a str> {
    let mut reached = HashSet::new();
    while let Some(id) = from.pop() {
        if reached.insert(id) {
            from.extend(users.get(id).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::entry;
    use super::*;

    fn ran(cached: &Value, outputs: &Value) -> Entry {
        let messages = json!([["execution_start", {}], ["execution_cached", {"nodes": cached}]]);
        entry(json!({"outputs": outputs, "status": {"status_str": "success", "messages": messages}}))
    }

    fn hiding(makers: &Makers, workflow: &Value, entry: &Entry) -> Vec<String> {
        makers.hiding(workflow.as_object().unwrap(), entry)
    }

    fn a_loop(end: &str, saved: &str) -> Value {
        json!({
            "1": {"class_type": "EmptyImage", "inputs": {}},
            "5": {"class_type": "easy forLoopStart", "inputs": {"total": 3, "initial_value1": ["1", 0]}},
            "6": {"class_type": "ImageInvert", "inputs": {"image": ["5", 2]}},
            "7": {"class_type": "SaveImage", "inputs": {"images": [saved, 0], "filename_prefix": "o"}},
            "8": {"class_type": end, "inputs": {"flow": ["5", 0], "initial_value1": ["6", 0]}},
            "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "o"}},
        })
    }

    #[test]
    fn a_cached_end_of_a_loop_hides_what_is_saved_in_its_turns() {
        let image = json!({"images": [{"filename": "o.png"}]});
        let shown = json!({"7": image, "9": image});
        for end in ["easy forLoopEnd", "easy whileLoopEnd", "TestWhileLoopClose", "Loop End"] {
            let cached = ran(&json!(["1", "5", "6", "8"]), &shown);
            assert_eq!(hiding(&Makers::default(), &a_loop(end, "6"), &cached), ["8"], "{end}");
        }
        for (workflow, cached, shown, why) in [
            (a_loop("easy forLoopEnd", "6"), json!(["1"]), shown.clone(), "it was not cached"),
            (a_loop("easy forLoopEnd", "8"), json!(["8"]), shown.clone(), "all is saved behind the loop"),
            (a_loop("easy forLoopEnd", "1"), json!(["8"]), shown.clone(), "the other is saved before it"),
            (a_loop("VideoLoopExtend", "6"), json!(["8"]), shown.clone(), "it ends no loop"),
            (a_loop("easy forLoopEnd", "6"), json!(["8"]), json!({"7": image, "8.0.0.7": image}), "it ran"),
        ] {
            let hidden = hiding(&Makers::default(), &workflow, &ran(&cached, &shown));
            assert_eq!(hidden, Vec::<String>::new(), "{why}");
        }
    }

    #[test]
    fn a_class_that_made_nodes_once_hides_them_when_it_is_cached() {
        let workflow = json!({
            "1": {"class_type": "SaveByExpansion", "inputs": {}},
            "2": {"class_type": "SaveImage", "inputs": {"filename_prefix": "o"}},
        });
        let makers = Makers::default();
        let cached = ran(&json!(["1"]), &json!({"2": {}}));
        assert_eq!(hiding(&makers, &workflow, &cached), Vec::<String>::new());
        makers.learn(
            workflow.as_object().unwrap(),
            &ran(&json!([]), &json!({"1.0.0.1": {}, "2": {}, "x.1": {}})),
        );
        assert_eq!(hiding(&makers, &workflow, &cached), ["1"]);
        assert_eq!(
            hiding(&makers, &json!({"2": {"class_type": "SaveImage"}}), &cached),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_circle_of_links_has_an_end() {
        let workflow = json!({
            "5": {"class_type": "easy forLoopStart", "inputs": {"total": ["6", 0]}},
            "6": {"class_type": "ImageInvert", "inputs": {"image": ["5", 2]}},
            "8": {"class_type": "easy forLoopEnd", "inputs": {"flow": ["5", 0], "x": ["gone", 0]}},
        });
        assert_eq!(
            hiding(&Makers::default(), &workflow, &ran(&json!(["8"]), &json!({}))),
            Vec::<String>::new()
        );
    }
}
