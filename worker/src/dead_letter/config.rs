//! The configuration of the dead-letter Lambda: a subset of the worker's variables.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use validator::Validate;

use crate::config::vars::{ConfigError, EnvReader, described};
use crate::runtimes::RuntimeType;

/// The Lambda's configuration. The README of this crate holds the table of variables.
#[derive(Debug, Clone, Validate)]
pub struct Config {
    /// `S3_BUCKET`: where results go.
    pub bucket: String,
    /// `SNS_TOPIC_ARN`: the topic that results are published to.
    pub completion_topic_arn: String,
    /// `URL_EXPIRY_SECONDS`: how long presigned URLs work (S3 allows 7 days).
    #[validate(range(min = 1, max = 604_800))]
    pub url_expiry_seconds: u64,
    /// `RECORD_TABLE`: the DynamoDB table of task records, if tasks are recorded.
    pub record_table: Option<String>,
    /// `METRICS_NAMESPACE`: the namespace of the metrics that are printed for CloudWatch; without it none are.
    pub metrics_namespace: Option<String>,
    /// `RUNTIME_TYPES`: the types of the deployed runtimes, `name=type` each.
    pub runtime_types: RuntimeTypes,
}

/// The types of the deployed runtimes by their names. They decide the format of `.out` files: one task type can be handled by
/// several types of runtimes.
#[derive(Debug, Clone, Default)]
pub struct RuntimeTypes(HashMap<String, &'static RuntimeType>);

impl RuntimeTypes {
    /// The type of the runtime of that name, if it is deployed.
    pub(super) fn of(&self, name: &str) -> Option<&'static RuntimeType> {
        self.0.get(name).copied()
    }
}

/// A comma-separated list: `sdruntime=sdwebui,flux=comfyui`.
impl FromStr for RuntimeTypes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let pair = |item: &str| {
            let (name, runtime_type) =
                item.split_once('=').ok_or_else(|| format!("`{item}` is not `name=type`"))?;
            let runtime_type = RuntimeType::by_name(runtime_type)
                .ok_or_else(|| format!("`{runtime_type}` is no type of runtime"))?;
            Ok((name.to_owned(), runtime_type))
        };
        items.map(pair).collect::<Result<_, String>>().map(Self)
    }
}

impl Config {
    /// Reads the variables through `var`. An empty variable counts as unset.
    ///
    /// # Errors
    ///
    /// Names every variable that is wrong.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut vars = EnvReader::new(&var);
        let config = Self {
            bucket: vars.required("S3_BUCKET"),
            completion_topic_arn: vars.required("SNS_TOPIC_ARN"),
            url_expiry_seconds: vars.parsed("URL_EXPIRY_SECONDS", 86_400),
            record_table: vars.text("RECORD_TABLE"),
            metrics_namespace: vars.text("METRICS_NAMESPACE"),
            runtime_types: vars.parsed("RUNTIME_TYPES", RuntimeTypes::default()),
        };
        let mut wrong = vars.wrong;
        if let Err(errors) = config.validate() {
            wrong.extend(described(&errors));
        }
        if wrong.is_empty() { Ok(config) } else { Err(ConfigError(wrong)) }
    }

    /// How long presigned URLs work.
    pub fn url_expiry(&self) -> Duration {
        Duration::from_secs(self.url_expiry_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    #[test]
    fn every_bad_variable_is_reported_at_once() {
        let var = |name: &str| match name {
            "URL_EXPIRY_SECONDS" => Some("0".to_owned()),
            "RUNTIME_TYPES" => Some("a=sdwebui,b=unknown".to_owned()),
            _ => None,
        };
        let ConfigError(wrong) = Config::from_vars(var).unwrap_err();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        for name in ["S3_BUCKET", "SNS_TOPIC_ARN", "URL_EXPIRY_SECONDS", "RUNTIME_TYPES"] {
            assert!(wrong.iter().any(|wrong| wrong.starts_with(name)), "{name}: {wrong:?}");
        }
    }

    #[test]
    fn the_readme_lists_the_variables_that_the_code_reads() {
        let asked = RefCell::new(BTreeSet::new());
        let _ = Config::from_vars(|name| {
            asked.borrow_mut().insert(name.to_owned());
            None
        });
        let readme = include_str!("../../README.md");
        let rows =
            readme.lines().filter(|line| line.starts_with("| `") && line.contains("<!--dead-letter-var-->"));
        let listed: BTreeSet<String> =
            rows.filter_map(|line| line.split('`').nth(1)).map(str::to_owned).collect();
        assert_eq!(listed, asked.into_inner());
    }
}
