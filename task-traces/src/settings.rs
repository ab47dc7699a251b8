//! The variables that decide whether and where spans are exported. All others are read by the SDK.

use std::time::Duration;

/// Every variable that is read, by this crate or by the SDK.
pub const VARIABLES: [&str; 17] = [
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
];

/// How long one export may take by default (OpenTelemetry specification, "OTLP exporter configuration options").
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where spans are exported to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The URL that batches are posted to.
    pub(crate) url: String,
    /// How long one export may take.
    pub(crate) timeout: Duration,
    /// Whether a variable names the service.
    pub(crate) names_service: bool,
}

impl Settings {
    /// `None` without an endpoint, or where a variable disables the export. An empty variable counts as unset.
    pub(crate) fn from_vars(var: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let var = |name: &str| var(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let is = |name: &str, value: &str| var(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        let url = var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| {
            let base = var("OTEL_EXPORTER_OTLP_ENDPOINT")?;
            Some(format!("{}/v1/traces", base.trim_end_matches('/')))
        })?;
        let timeout = var("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT").or_else(|| var("OTEL_EXPORTER_OTLP_TIMEOUT"));
        let timeout =
            timeout.and_then(|text| text.parse().ok()).map_or(DEFAULT_TIMEOUT, Duration::from_millis);
        let names_service = var("OTEL_SERVICE_NAME").is_some()
            || var("OTEL_RESOURCE_ATTRIBUTES")
                .is_some_and(|pairs| pairs.split(',').any(|pair| pair.trim().starts_with("service.name=")));
        Some(Self { url, timeout, names_service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(variables: &[(&str, &str)]) -> Option<String> {
        let var = |name: &str| {
            variables.iter().find_map(|(known, value)| (*known == name).then(|| (*value).to_owned()))
        };
        Settings::from_vars(var).map(|settings| settings.url)
    }

    #[test]
    fn without_an_endpoint_nothing_is_exported() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://agent:4318/");
        assert_eq!(url(&[]), None);
        assert_eq!(url(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), None);
        assert_eq!(url(&[base, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(url(&[base, ("OTEL_TRACES_EXPORTER", "none")]), None);
        assert_eq!(url(&[base]).as_deref(), Some("http://agent:4318/v1/traces"));
        let exact = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://xray.us-east-1.amazonaws.com/v1/traces");
        assert_eq!(url(&[base, exact]).as_deref(), Some(exact.1));
    }
}
