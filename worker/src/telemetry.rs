//! Logs: JSON lines in production, readable ones where a person asks for them.

use tracing_subscriber::EnvFilter;

/// Installs the subscriber. `LOG_FORMAT=text` makes lines for people; `RUST_LOG` filters (default `info`).
pub fn init(var: impl Fn(&str) -> Option<String>) {
    let filter =
        var("RUST_LOG").and_then(|text| text.parse::<EnvFilter>().ok()).unwrap_or_else(|| "info".into());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber in one process (a test, an embedding program) is refused; the first one stays.
    let _ = match var("LOG_FORMAT").as_deref() {
        Some("text") => builder.try_init(),
        _ => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
}
