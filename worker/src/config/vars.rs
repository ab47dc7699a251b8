//! Environment variables: read as text, lists, flags and numbers, with every wrong one remembered.

use std::fmt;
use std::str::FromStr;

/// Every variable that is wrong, each with what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is wrong: {}", self.0.join("; "))
    }
}

/// Reads variables and remembers what was wrong with them.
pub(crate) struct EnvReader<'a> {
    var: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) wrong: Vec<String>,
}

impl<'a> EnvReader<'a> {
    pub(crate) fn new(var: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { var, wrong: Vec::new() }
    }

    /// The value, unless it is unset or empty, as charts leave unset values.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        (self.var)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&mut self, name: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.wrong.push(format!("{name} is missing"));
            String::new()
        })
    }

    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    pub(crate) fn flag(&mut self, name: &str, default: bool) -> bool {
        match self.text(name).map(|text| text.to_ascii_lowercase()).as_deref() {
            None => default,
            Some("false" | "0" | "no" | "off") => false,
            Some("true" | "1" | "yes" | "on") => true,
            Some(_) => {
                self.wrong.push(format!("{name} must be `true` or `false`"));
                default
            }
        }
    }

    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, default: T) -> T {
        let Some(text) = self.text(name) else { return default };
        text.parse().unwrap_or_else(|error| {
            self.wrong.push(format!("{name} is wrong: {error}"));
            default
        })
    }
}

/// The violations of a configuration's ranges, by the name of the variable.
pub(crate) fn described(errors: &validator::ValidationErrors) -> Vec<String> {
    let of_field = |field: &str, error: &validator::ValidationError| {
        let bound = |name: &str| error.params.get(name).map(|value| format!("{name} {value}"));
        let range: Vec<String> = ["min", "max"].into_iter().filter_map(bound).collect();
        format!("{} is out of range ({})", field.to_uppercase(), range.join(", "))
    };
    let mut described: Vec<String> = errors
        .field_errors()
        .into_iter()
        .flat_map(|(field, errors)| errors.iter().map(move |error| of_field(&field, error)))
        .collect();
    described.sort();
    described
}
