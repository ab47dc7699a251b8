//! Ids of new traces, as AWS X-Ray makes them: the first 32 bits are the time in seconds, so that every backend accepts them.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

/// Random ids; those of traces begin with the time.
#[derive(Debug, Default)]
pub(crate) struct TimedIds(RandomIdGenerator);

impl IdGenerator for TimedIds {
    fn new_trace_id(&self) -> TraceId {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as u32;
        let mut id = self.0.new_trace_id().to_bytes();
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        TraceId::from_bytes(id)
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}
