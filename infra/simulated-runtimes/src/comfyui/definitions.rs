//! The node classes that are installed, as `/object_info` describes them.

use serde_json::{Map, Value, json};

/// `/object_info` of the classes that the simulation can execute, without the lists of files.
const DEFINITIONS: &str = include_str!("node_definitions.json");

pub(super) struct Definitions {
    classes: Map<String, Value>,
    /// File names of the checkpoints.
    pub(super) models: Vec<String>,
}

/// One input of a node class.
pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    pub(super) required: bool,
    /// Type and options, as `/object_info` has them.
    pub(super) config: &'a Value,
}

impl Input<'_> {
    /// The name of the type; none for a list of choices in the old notation.
    pub(super) fn kind(&self) -> Option<&str> {
        self.config.get(0).and_then(Value::as_str)
    }

    pub(super) fn option(&self, name: &str) -> Option<&Value> {
        self.config.get(1)?.get(name)
    }

    /// The values to choose from.
    pub(super) fn choices(&self) -> Option<&Vec<Value>> {
        match self.kind() {
            Some("COMBO") => self.option("options")?.as_array(),
            Some(_) => None,
            None => self.config.get(0)?.as_array(),
        }
    }
}

impl Definitions {
    pub(super) fn new(models: &[String]) -> Self {
        let mut classes: Map<String, Value> = serde_json::from_str(DEFINITIONS).unwrap_or_default();
        if let Some(choices) = classes
            .get_mut("CheckpointLoaderSimple")
            .and_then(|class| class.pointer_mut("/input/required/ckpt_name/0"))
        {
            *choices = json!(models);
        }
        Self { classes, models: models.to_vec() }
    }

    pub(super) fn all(&self) -> &Map<String, Value> {
        &self.classes
    }

    pub(super) fn class(&self, name: &str) -> Option<&Value> {
        self.classes.get(name)
    }

    pub(super) fn is_output(&self, class: &str) -> bool {
        self.class(class)
            .and_then(|class| class.get("output_node"))
            .and_then(Value::as_bool)
            .unwrap_or_default()
    }

    /// Type of the output `slot` of a class.
    pub(super) fn output_type(&self, class: &str, slot: usize) -> Option<&str> {
        self.class(class)?.get("output")?.get(slot)?.as_str()
    }

    /// How many outputs a class has.
    pub(super) fn outputs(&self, class: &str) -> usize {
        self.class(class).and_then(|class| class.get("output")?.as_array()).map_or(0, Vec::len)
    }

    /// The inputs of a class in their order.
    pub(super) fn inputs(&self, class: &str) -> Vec<Input<'_>> {
        let group = |name: &'static str| {
            let inputs = self.class(class).and_then(|class| class.get("input")?.get(name)?.as_object());
            inputs.into_iter().flatten().map(move |(input, config)| Input {
                name: input,
                required: name == "required",
                config,
            })
        };
        group("required").chain(group("optional")).collect()
    }
}
