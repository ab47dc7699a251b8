//! Documents of a Lambda function, whose standard output is its log.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use crate::Document;

/// Prints documents, one per line, if a namespace is configured.
pub struct Emitter(Option<Sink>);

struct Sink {
    namespace: String,
    output: Mutex<Box<dyn Write + Send>>,
}

impl Emitter {
    /// Prints nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Prints documents of that namespace to `output`; without a namespace, nothing.
    pub fn new(namespace: Option<&str>, output: impl Write + Send + 'static) -> Self {
        let sink =
            |namespace: &str| Sink { namespace: namespace.to_owned(), output: Mutex::new(Box::new(output)) };
        Self(namespace.map(sink))
    }

    /// Prints the document that `document` makes. It is not made if nothing is printed.
    pub fn emit(&self, document: impl FnOnce() -> Document) {
        let Some(sink) = &self.0 else { return };
        let lines: String =
            document().texts(&sink.namespace).iter().map(|text| format!("{text}\n")).collect();
        let mut output = sink.output.lock().unwrap_or_else(PoisonError::into_inner);
        // One call, so that no other line comes between. A function without its log can do nothing about it.
        let _ = output.write_all(lines.as_bytes()).and_then(|()| output.flush());
    }
}

impl std::fmt::Debug for Emitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Emitter").field(&self.0.as_ref().map(|sink| &sink.namespace)).finish()
    }
}
