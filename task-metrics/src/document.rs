//! One document of the format (CloudWatch user guide, "Specification: Embedded metric format").

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// The values that one metric of a document may have. A document may also have 100 metrics, which no program here reaches.
const MAX_VALUES: usize = 100;

/// The value of the dimension `runtime` for a runtime that is not in the registry.
pub const OTHER_RUNTIME: &str = "other";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in CloudWatch.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// The names of its dimensions.
    pub dimensions: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// The units of CloudWatch that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A duration.
    Seconds,
    /// A size.
    Bytes,
    /// Any other, such as US dollars.
    None,
}

impl Unit {
    /// Its name in CloudWatch.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::Bytes => "Bytes",
            Self::None => "None",
        }
    }
}

/// Values of metrics at one time, all with the same dimensions.
#[derive(Debug, Clone)]
pub struct Document {
    time: SystemTime,
    dimensions: Vec<(&'static str, String)>,
    properties: Vec<(&'static str, String)>,
    values: Vec<(Metric, Vec<f64>)>,
}

impl Document {
    /// An empty document of now.
    pub fn new(dimensions: Vec<(&'static str, String)>) -> Self {
        Self { time: SystemTime::now(), dimensions, properties: Vec::new(), values: Vec::new() }
    }

    /// Adds the values of a metric.
    #[must_use]
    pub fn with(mut self, metric: Metric, values: Vec<f64>) -> Self {
        self.values.push((metric, values));
        self
    }

    /// Adds a field that can be searched in the log and is no dimension: it costs no further metric.
    #[must_use]
    pub fn with_property(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.properties.push((name, value.into()));
        self
    }

    /// The time in milliseconds after 1970.
    pub fn timestamp_ms(&self) -> i64 {
        let since_epoch = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }

    /// The JSON texts: more than one if a metric has more values than a text may have.
    pub fn texts(&self, namespace: &str) -> Vec<String> {
        let texts =
            self.values.iter().map(|(_, values)| values.len().div_ceil(MAX_VALUES)).max().unwrap_or(0);
        (0..texts).map(|nth| self.text(namespace, nth)).collect()
    }

    fn text(&self, namespace: &str, nth: usize) -> String {
        let parts = self
            .values
            .iter()
            .filter_map(|(metric, values)| Some((metric, values.chunks(MAX_VALUES).nth(nth)?)));
        let parts: Vec<(&Metric, &[f64])> = parts.collect();
        let names: Vec<&str> = self.dimensions.iter().map(|(name, _)| *name).collect();
        let metrics: Vec<Value> = parts
            .iter()
            .map(|(metric, _)| json!({ "Name": metric.name, "Unit": metric.unit.as_str() }))
            .collect();
        let described = json!({ "Namespace": namespace, "Dimensions": [names], "Metrics": metrics });
        let mut text = Map::new();
        text.insert(
            "_aws".to_owned(),
            json!({ "Timestamp": self.timestamp_ms(), "CloudWatchMetrics": [described] }),
        );
        for (name, value) in self.dimensions.iter().chain(&self.properties) {
            text.insert((*name).to_owned(), json!(value));
        }
        for (metric, values) in parts {
            let value = if let [value] = values { json!(value) } else { json!(values) };
            text.insert(metric.name.to_owned(), value);
        }
        Value::Object(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: Metric = Metric { name: "Tasks", unit: Unit::Count, dimensions: &["runtime"], help: "" };
    const AGE: Metric = Metric { name: "Age", unit: Unit::Seconds, dimensions: &["runtime"], help: "" };

    fn parsed(document: &Document) -> Vec<Value> {
        document.texts("Darkroom/d").iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    #[test]
    fn a_document_describes_its_metrics() {
        let document = Document::new(vec![("runtime", "r".to_owned())])
            .with(TASKS, vec![2.0])
            .with(AGE, vec![0.5, 1.5])
            .with_property("code", "invalid_task");
        let [text] = &parsed(&document)[..] else { panic!("{document:?}") };
        assert_eq!(
            text["_aws"]["CloudWatchMetrics"],
            json!([{
                "Namespace": "Darkroom/d",
                "Dimensions": [["runtime"]],
                "Metrics": [{ "Name": "Tasks", "Unit": "Count" }, { "Name": "Age", "Unit": "Seconds" }],
            }])
        );
        assert_eq!(text["_aws"]["Timestamp"], document.timestamp_ms());
        assert_eq!((&text["runtime"], &text["code"]), (&json!("r"), &json!("invalid_task")));
        assert_eq!((&text["Tasks"], &text["Age"]), (&json!(2.0), &json!([0.5, 1.5])));
    }

    #[test]
    fn many_values_take_several_texts_and_none_is_counted_twice() {
        let ages: Vec<f64> = (0..250).map(f64::from).collect();
        let document = Document::new(Vec::new()).with(TASKS, vec![250.0]).with(AGE, ages.clone());
        let texts = parsed(&document);
        assert_eq!(texts.len(), 3);
        let values: Vec<f64> = texts
            .iter()
            .flat_map(|text| text["Age"].as_array().unwrap().iter().map(|age| age.as_f64().unwrap()))
            .collect();
        assert_eq!(values, ages);
        assert_eq!(texts.iter().filter(|text| text.get("Tasks").is_some()).count(), 1);
        assert_eq!(texts[2]["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len(), 1);
        assert_eq!(texts[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
    }

    #[test]
    fn a_document_without_values_is_no_text() {
        assert_eq!(parsed(&Document::new(Vec::new())), Vec::<Value>::new());
    }
}
