//! The time within the calls of the AWS SDK to DynamoDB, by the span that `task-records` has for each. All other spans and all events go
//! to the subscriber of the front door, as in a Lambda.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

/// The id of each call: they are made one after the other. The other subscriber numbers its own from 1.
const CALL: u64 = u64::MAX;

/// Nanoseconds within calls since the last look, and since the start until a call was entered.
static WITHIN: AtomicU64 = AtomicU64::new(0);
static ENTERED: AtomicU64 = AtomicU64::new(0);

/// Measures calls of DynamoDB, beside another subscriber.
pub(crate) struct SdkTime<S> {
    inner: S,
    start: Instant,
}

impl<S: Subscriber> SdkTime<S> {
    pub(crate) fn beside(inner: S) -> Self {
        Self { inner, start: Instant::now() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The time within calls since this was called last.
pub(crate) fn take() -> Duration {
    Duration::from_nanos(WITHIN.swap(0, Relaxed))
}

fn is_call(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == "task_records::call"
}

impl<S: Subscriber> Subscriber for SdkTime<S> {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_call(metadata) { Interest::always() } else { self.inner.register_callsite(metadata) }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_call(metadata) || self.inner.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        if is_call(span.metadata()) { Id::from_u64(CALL) } else { self.inner.new_span(span) }
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        if span.into_u64() != CALL {
            self.inner.record(span, values);
        }
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        if span.into_u64() != CALL {
            self.inner.record_follows_from(span, follows);
        }
    }

    fn event(&self, event: &Event<'_>) {
        self.inner.event(event);
    }

    fn enter(&self, span: &Id) {
        if span.into_u64() == CALL {
            ENTERED.store(self.now(), Relaxed);
        } else {
            self.inner.enter(span);
        }
    }

    fn exit(&self, span: &Id) {
        if span.into_u64() == CALL {
            WITHIN.fetch_add(self.now().saturating_sub(ENTERED.load(Relaxed)), Relaxed);
        } else {
            self.inner.exit(span);
        }
    }

    fn clone_span(&self, id: &Id) -> Id {
        if id.into_u64() == CALL { id.clone() } else { self.inner.clone_span(id) }
    }

    fn try_close(&self, id: Id) -> bool {
        id.into_u64() == CALL || self.inner.try_close(id)
    }
}
