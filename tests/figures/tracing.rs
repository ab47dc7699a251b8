//! The tracing of the measured worker: what it costs is the difference between two runs.

use integration_tests::collector::Collector;

/// The collector, if the worker records traces.
pub(crate) struct Tracing(Option<(Collector, String)>);

impl Tracing {
    /// For the traces of that share of tasks; `None` for no tracing at all.
    pub(crate) async fn start(share: Option<f64>) -> Self {
        match share {
            Some(share) => Self(Some((Collector::start().await, share.to_string()))),
            None => Self(None),
        }
    }

    /// The variables of the worker.
    pub(crate) fn variables(&self) -> Vec<(&str, &str)> {
        let Some((collector, share)) = &self.0 else { return Vec::new() };
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", share),
        ]
    }
}
