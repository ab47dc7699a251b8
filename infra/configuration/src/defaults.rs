//! Defaults are in the schema only. Fields that a file omits are filled in from there, as Ajv does with `useDefaults`.

use serde_json::Value;

/// Fills in the fields that `instance`, which should conform to `schema`, omits. References point into `root`.
pub(crate) fn fill(instance: &mut Value, schema: &Value, root: &Value) {
    let referred = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    if let Some(definition) = referred.and_then(|pointer| root.pointer(pointer)) {
        fill(instance, definition, root);
    }
    if let (Value::Object(fields), Some(Value::Object(properties))) =
        (&mut *instance, schema.get("properties"))
    {
        for (name, property) in properties {
            if let Some(default) = property.get("default") {
                fields.entry(name).or_insert_with(|| default.clone());
            }
            if let Some(field) = fields.get_mut(name) {
                fill(field, property, root);
            }
        }
    }
    if let (Value::Array(items), Some(schema)) = (instance, schema.get("items")) {
        items.iter_mut().for_each(|item| fill(item, schema, root));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn omitted_fields_are_filled_in_at_every_level() {
        let schema = json!({
            "properties": {
                "a": { "default": 1 },
                "b": { "default": {}, "properties": { "c": { "default": [2] } } },
                "list": { "items": { "description": "refers", "$ref": "#/$defs/item" } },
                "none": {},
            },
            "$defs": { "item": { "properties": { "d": { "default": 3 } } } },
        });
        let mut instance = json!({ "a": null, "list": [{}, { "d": 4 }, 5] });
        fill(&mut instance, &schema, &schema);
        assert_eq!(instance, json!({ "a": null, "list": [{ "d": 3 }, { "d": 4 }, 5], "b": { "c": [2] } }));
    }
}
