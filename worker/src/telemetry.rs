//! Logs: JSON lines in production, readable ones where a person asks for them. A line about a task is within its span,
//! which names the task and the runtime.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// Installs the subscriber, and has panics logged. `LOG_FORMAT=text` makes lines for people; `RUST_LOG` filters
/// (default `info`).
pub fn init(var: impl Fn(&str) -> Option<String>) {
    let text = var("LOG_FORMAT").as_deref() == Some("text");
    let asked = var("RUST_LOG").filter(|filter| !filter.is_empty());
    let (filter, error) = match asked.as_deref().unwrap_or("info").parse() {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    // A second subscriber in one process (a test, an embedding program) is refused; the first one stays.
    if subscriber(text, filter, io::stderr).try_init().is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
    if let Some(error) = error {
        tracing::warn!(%error, "invalid log filter, using info");
    }
}

/// The filter applies to the two programs of this crate. Libraries log from `warn` upwards only, whatever
/// the filter: below it, the SDK and the HTTP client write whole requests with their content.
fn subscriber<W>(text: bool, filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let own = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("worker", LevelFilter::TRACE)
        .with_target("dead_letter", LevelFilter::TRACE);
    let lines = if text {
        fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(writer).boxed()
    } else {
        let json = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        json.with_writer(writer).boxed()
    };
    tracing_subscriber::registry().with(filter).with(own).with(lines)
}

/// As a line like every other one, within the span of the task that it happened in.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        why = panic.payload_as_str(),
        at = panic.location().map(ToString::to_string),
        backtrace,
        "panicked"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    /// A writer into memory.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile, by this thread.
    fn logged(filter: &str, work: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(false, filter.parse().unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, work);
        let written = written.0.lock().unwrap();
        written
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[test]
    fn libraries_cannot_be_made_to_say_what_they_send() {
        let lines = logged("trace", || {
            tracing::trace!(target: "aws_smithy_runtime", "request with a body");
            tracing::info!(target: "hyper", "connection with headers");
            tracing::warn!(target: "hyper", "connection refused");
            tracing::trace!("own line");
            tracing::info!(target: "dead_letter", "own line of the function");
        });
        let messages: Vec<&Value> = lines.iter().map(|line| &line["message"]).collect();
        assert_eq!(messages, ["connection refused", "own line", "own line of the function"]);
    }

    #[test]
    fn a_panic_is_a_line_of_its_task() {
        let lines = logged("info", || {
            let _task = tracing::error_span!("task", task.id = "t", runtime = "r").entered();
            let before = panic::take_hook();
            panic::set_hook(Box::new(log_panic));
            let panicked = panic::catch_unwind(|| panic!("of {}", "fear"));
            panic::set_hook(before);
            assert!(panicked.is_err());
        });
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!((&line["message"], &line["why"]), (&"panicked".into(), &"of fear".into()));
        assert!(line["at"].as_str().unwrap().starts_with("worker/src/telemetry.rs:"), "{line}");
        assert_eq!((&line["span"]["task.id"], &line["span"]["runtime"]), (&"t".into(), &"r".into()));
    }
}
