//! Checks request bodies as pydantic does: strings that hold numbers are numbers, unknown fields are ignored, and every
//! violation is reported. Forge has pydantic 2 in its lax mode; [`pydantic1`] is what the others have.

use serde_json::{Map, Value, json};

use super::{Dialect, errors::Failure, pydantic1};

/// Fields that Forge added: the others ignore them.
const FORGE_ONLY: [&str; 4] = ["distilled_cfg_scale", "hr_additional_modules", "hr_cfg", "hr_distilled_cfg"];

/// Name, type and default (as JSON) of one field, in the order in which the API echoes them.
pub(super) type Field = (&'static str, Kind, &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    Object,
    List,
    /// The kinds with a question mark in pydantic's types: null is allowed too.
    TextOrNull,
    NumberOrNull,
    IntegerOrNull,
    BooleanOrNull,
    ObjectOrNull,
    ListOrNull,
    /// Must be there; a list.
    RequiredList,
}

impl Kind {
    pub(super) fn takes_null(self) -> bool {
        matches!(
            self,
            Self::TextOrNull
                | Self::NumberOrNull
                | Self::IntegerOrNull
                | Self::BooleanOrNull
                | Self::ObjectOrNull
                | Self::ListOrNull
        )
    }
}

/// The body of a request as an object that has every field of `fields`, in their order.
///
/// # Errors
/// FastAPI's list of violations.
pub(super) fn validate(
    dialect: Dialect,
    body: &[u8],
    fields: &[&[Field]],
) -> Result<Map<String, Value>, Failure> {
    let is_forge = dialect == Dialect::Forge;
    let object = parse(is_forge, body)?;
    let coerce = if is_forge { coerce } else { pydantic1::coerce };
    let mut values = Map::new();
    let mut violations = Vec::new();
    let known = fields.iter().copied().flatten().copied();
    for (name, kind, default) in known.filter(|(name, ..)| is_forge || !FORGE_ONLY.contains(name)) {
        match object.get(name) {
            Some(value) => match coerce(value, kind) {
                Ok(value) => _ = values.insert(name.to_owned(), value),
                Err((rule, message)) if is_forge => {
                    violations.push(violation(rule, json!(["body", name]), message, value));
                }
                Err((rule, message)) => {
                    violations.push(json!({"loc": ["body", name], "msg": message, "type": rule}));
                }
            },
            None if kind == Kind::RequiredList && is_forge => {
                let whole = Value::Object(object.clone());
                violations.push(violation("missing", json!(["body", name]), "Field required", &whole));
            }
            None if kind == Kind::RequiredList => violations
                .push(json!({"loc": ["body", name], "msg": "field required", "type": "value_error.missing"})),
            None => _ = values.insert(name.to_owned(), serde_json::from_str(default).unwrap_or_default()),
        }
    }
    if violations.is_empty() { Ok(values) } else { Err(Failure::Validation(violations)) }
}

fn parse(is_forge: bool, body: &[u8]) -> Result<Map<String, Value>, Failure> {
    let refuse = |violation| Failure::Validation(vec![violation]);
    if body.is_empty() {
        return Err(refuse(match is_forge {
            true => violation("missing", json!(["body"]), "Field required", &Value::Null),
            false => json!({"loc": ["body"], "msg": "field required", "type": "value_error.missing"}),
        }));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(refuse(match is_forge {
            true => {
                let message = "Input should be a valid dictionary or object to extract fields from";
                violation("model_attributes_type", json!(["body"]), message, &other)
            }
            false => {
                json!({"loc": ["body"], "msg": "value is not a valid dict", "type": "type_error.dict"})
            }
        })),
        Err(error) => {
            // Python counts characters of the whole text from 0, serde_json columns of a line from 1.
            let (line, column) = (error.line(), error.column());
            let position = column.saturating_sub(1);
            let reason = if error.to_string().starts_with("key must be a string") {
                "Expecting property name enclosed in double quotes"
            } else {
                "Expecting value"
            };
            Err(refuse(match is_forge {
                true => json!({
                    "type": "json_invalid", "loc": ["body", position], "msg": "JSON decode error", "input": {},
                    "ctx": {"error": reason},
                }),
                false => json!({
                    "loc": ["body", position],
                    "msg": format!("{reason}: line {line} column {column} (char {position})"),
                    "type": "value_error.jsondecode",
                    "ctx": {
                        "msg": reason, "doc": String::from_utf8_lossy(body), "pos": position, "lineno": line,
                        "colno": column,
                    },
                }),
            }))
        }
    }
}

fn violation(rule: &str, location: Value, message: &str, input: &Value) -> Value {
    json!({
        "type": rule, "loc": location, "msg": message, "input": input,
        "url": format!("https://errors.pydantic.dev/2.8/v/{rule}"),
    })
}

/// The type of a violation and its message.
pub(super) type Violation = (&'static str, &'static str);

fn coerce(value: &Value, kind: Kind) -> Result<Value, Violation> {
    match kind {
        _ if kind.takes_null() && value.is_null() => Ok(Value::Null),
        Kind::Text | Kind::TextOrNull => {
            value.is_string().then(|| value.clone()).ok_or(("string_type", "Input should be a valid string"))
        }
        Kind::Integer | Kind::IntegerOrNull => integer(value),
        Kind::Number | Kind::NumberOrNull => number(value),
        Kind::Boolean | Kind::BooleanOrNull => boolean(value),
        Kind::Object | Kind::ObjectOrNull => value
            .is_object()
            .then(|| value.clone())
            .ok_or(("dict_type", "Input should be a valid dictionary")),
        Kind::List | Kind::ListOrNull | Kind::RequiredList => {
            value.is_array().then(|| value.clone()).ok_or(("list_type", "Input should be a valid list"))
        }
    }
}

fn integer(value: &Value) -> Result<Value, Violation> {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            if float.fract() == 0.0 {
                Ok(json!(float as i64))
            } else {
                Err((
                    "int_from_float",
                    "Input should be a valid integer, got a number with a fractional part",
                ))
            }
        }
        Value::Number(_) => Ok(value.clone()),
        Value::Bool(truth) => Ok(json!(i64::from(*truth))),
        Value::String(text) => text.trim().parse::<i64>().map(|number| json!(number)).map_err(|_| {
            ("int_parsing", "Input should be a valid integer, unable to parse string as an integer")
        }),
        _ => Err(("int_type", "Input should be a valid integer")),
    }
}

fn number(value: &Value) -> Result<Value, Violation> {
    match value {
        Value::Number(number) => Ok(json!(number.as_f64())),
        Value::Bool(truth) => Ok(json!(f64::from(u8::from(*truth)))),
        Value::String(text) => text.trim().parse::<f64>().map(|number| json!(number)).map_err(|_| {
            ("float_parsing", "Input should be a valid number, unable to parse string as a number")
        }),
        _ => Err(("float_type", "Input should be a valid number")),
    }
}

fn boolean(value: &Value) -> Result<Value, Violation> {
    let parsing = ("bool_parsing", "Input should be a valid boolean, unable to interpret input");
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::Number(number) => match number.as_f64() {
            Some(0.0) => Ok(json!(false)),
            Some(1.0) => Ok(json!(true)),
            _ => Err(parsing),
        },
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "t" | "yes" | "y" | "on" => Ok(json!(true)),
            "0" | "false" | "f" | "no" | "n" | "off" => Ok(json!(false)),
            _ => Err(parsing),
        },
        _ => Err(("bool_type", "Input should be a valid boolean")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[Field] = &[("steps", Kind::Integer, "50"), ("cfg_scale", Kind::Number, "7.0")];

    fn checked_by(dialect: Dialect, body: Value) -> Result<Value, Failure> {
        validate(dialect, body.to_string().as_bytes(), &[FIELDS]).map(Value::Object)
    }

    fn checked(body: Value) -> Result<Value, Failure> {
        checked_by(Dialect::Forge, body)
    }

    #[test]
    fn pydantic_1_cuts_fractions_off() {
        let values = checked_by(Dialect::Automatic1111, json!({"steps": 20.9, "cfg_scale": true})).unwrap();
        assert_eq!(values, json!({"steps": 20, "cfg_scale": 1.0}));
        assert!(checked_by(Dialect::Automatic1111, json!({"steps": "20.9"})).is_err());
    }

    #[test]
    fn strings_with_numbers_are_numbers_and_unknown_fields_are_ignored() {
        let values = checked(json!({"steps": "20", "stpes": 1, "cfg_scale": 3})).unwrap();

        assert_eq!(values, json!({"steps": 20, "cfg_scale": 3.0}));
    }

    #[test]
    fn an_empty_object_has_all_defaults() {
        assert_eq!(checked(json!({})).unwrap(), json!({"steps": 50, "cfg_scale": 7.0}));
    }

    #[test]
    fn every_violation_is_reported() {
        let Err(Failure::Validation(violations)) = checked(json!({"steps": 1.5, "cfg_scale": []})) else {
            panic!("the body is wrong in two places");
        };

        let rules: Vec<_> = violations.iter().map(|violation| &violation["type"]).collect();
        assert_eq!(rules, ["int_from_float", "float_type"]);
    }
}
