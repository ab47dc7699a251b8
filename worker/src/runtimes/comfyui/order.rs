//! In which order nodes and their files count.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Map, Value};

/// The ids of all nodes: those of the workflow in its order, for the history's is that in which they happened to end. Nodes that
/// only came into being during the run, of loops and expansions, are behind the one that made them (`8.0.0.3` behind `8`), or at
/// the end, by number.
pub(super) fn of_nodes<'a>(
    workflow: &'a Map<String, Value>,
    outputs: &'a Map<String, Value>,
) -> Vec<&'a str> {
    let mut made: Vec<&str> =
        outputs.keys().map(String::as_str).filter(|id| !workflow.contains_key(*id)).collect();
    made.sort_by(|a, b| natural(a, b));
    let mut by_maker: HashMap<Option<&str>, Vec<&str>> = HashMap::new();
    for id in made {
        by_maker.entry(maker(id, workflow)).or_default().push(id);
    }
    let rest = by_maker.remove(&None).unwrap_or_default();
    let planned = workflow.keys().flat_map(|id| {
        let made = by_maker.remove(&Some(id.as_str())).unwrap_or_default();
        std::iter::once(id.as_str()).chain(made)
    });
    let mut nodes: Vec<&str> = planned.collect();
    nodes.extend(rest);
    nodes
}

/// The node of the workflow that made this one: ComfyUI puts its id in front, and a dot.
pub(super) fn maker<'a>(id: &'a str, workflow: &Map<String, Value>) -> Option<&'a str> {
    let ends = id.match_indices('.').map(|(end, _)| &id[..end]);
    ends.rev().find(|id| workflow.contains_key(*id))
}

/// The order that a person expects: numbers by their value.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (a_part, a_after) = split(a_rest);
        let (b_part, b_after) = split(b_rest);
        let order = match (number(a_part), number(b_part)) {
            (Some(a_number), Some(b_number)) => a_number.cmp(&b_number),
            _ => a_part.cmp(b_part),
        };
        if order != Ordering::Equal || a_part.is_empty() {
            return order.then_with(|| a.cmp(b));
        }
        (a_rest, b_rest) = (a_after, b_after);
    }
}

/// The digits, or the text without digits, that a text begins with.
fn split(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    text.split_at(text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len()))
}

/// A number of any length, comparable: how many digits it has, and which.
fn number(part: &str) -> Option<(usize, &str)> {
    let digits = part.starts_with(|c: char| c.is_ascii_digit()).then(|| part.trim_start_matches('0'))?;
    Some((digits.len(), digits))
}

/// Puts the files of a loop into the order of the counters in their names. Each is the name of a file with its folder, and
/// whether a node saved it that came into being during the run; a loop's other turns are those whose names differ in the last
/// number only. All other files keep their places. Returns the old places in their new order.
pub(super) fn of_files(files: &[(String, bool)]) -> Vec<usize> {
    let mut series: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (place, (name, _)) in files.iter().enumerate() {
        if let Some((before, _, after)) = counter(name) {
            series.entry((before, after)).or_default().push(place);
        }
    }
    let mut order: Vec<usize> = (0..files.len()).collect();
    for places in series.into_values().filter(|places| places.iter().any(|place| files[*place].1)) {
        let mut counted = places.clone();
        counted.sort_by(|a, b| natural(&files[*a].0, &files[*b].0));
        for (place, file) in places.into_iter().zip(counted) {
            order[place] = file;
        }
    }
    order
}

/// What stands before the last number of a name, the number, and what is behind it.
fn counter(name: &str) -> Option<(&str, &str, &str)> {
    // Not the `4` of `.mp4`.
    let stem = name.rfind('.').unwrap_or(name.len());
    let end = name[..stem].rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = name[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |last| last + name[last..].chars().next().map_or(1, char::len_utf8));
    Some((&name[..start], &name[start..end], &name[end..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_count_by_their_value() {
        let mut ids = ["8.0.0.12", "8.0.0.9", "8.0.0.8.0.0.2", "10", "9", "007", "7", "a10", "a9", "é"];
        ids.sort_by(|a, b| natural(a, b));
        assert_eq!(ids, ["007", "7", "8.0.0.8.0.0.2", "8.0.0.9", "8.0.0.12", "9", "10", "a9", "a10", "é"]);
    }

    #[test]
    fn made_nodes_are_behind_their_maker() {
        let workflow = json!({"8": {}, "12": {}, "9": {}, "a.b": {}});
        let outputs =
            json!({"x.1": {}, "9": {}, "8.0.0.12": {}, "8.0.0.9": {}, "a.b.0.0.1": {}, "made:1": {}});
        let nodes = of_nodes(workflow.as_object().unwrap(), outputs.as_object().unwrap());
        assert_eq!(nodes, ["8", "8.0.0.9", "8.0.0.12", "12", "9", "a.b", "a.b.0.0.1", "made:1", "x.1"]);
    }

    #[test]
    fn only_the_files_of_a_loop_are_put_in_order() {
        let files = |files: &[(&str, bool)]| -> Vec<usize> {
            of_files(&files.iter().map(|(name, made)| ((*name).to_owned(), *made)).collect::<Vec<_>>())
        };
        assert_eq!(
            files(&[("f/a_12_.png", false), ("b.png", false), ("f/a_9_.png", true), ("f/a_1_.png", true)]),
            [3, 1, 2, 0]
        );
        assert_eq!(files(&[("a_2_.png", false), ("a_1_.png", false)]), [0, 1]);
        assert_eq!(
            files(&[("a_2.mp4", false), ("b_1.mp4", true), ("12.é", true), ("é2é", true)]),
            [0, 1, 2, 3]
        );
    }
}
