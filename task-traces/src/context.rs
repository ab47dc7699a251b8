//! The context of a trace as headers have it: W3C Trace Context, or the header of AWS X-Ray. A trace id of X-Ray is one of W3C
//! with a version and dashes (AWS X-Ray developer guide, "Tracing header").

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

/// The header of W3C Trace Context, and the message attribute of the same name.
pub const TRACEPARENT: &str = "traceparent";

/// The header of AWS X-Ray. SNS and SQS pass it on as the system attribute `AWSTraceHeader`.
pub const XRAY_HEADER: &str = "x-amzn-trace-id";

/// A span that another process, or another part of this one, continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext(pub(crate) SpanContext);

impl TraceContext {
    /// Reads a `traceparent`; `None` if it is not valid. The SDK's parser also accepts shorter ids.
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut next = |length| parts.next().filter(|part| is_hex(part, length));
        let (version, trace_id, parent, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Self::new(trace_id, parent, flags & 1 == 1)
    }

    /// Reads `Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=1`, in any order and among other fields. `None` without a root and
    /// a parent; without `Sampled=1` the trace is not sampled.
    pub fn from_xray(header: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut fields = header.split(';').filter_map(|field| field.trim().split_once('='));
            fields.find_map(|(found, value)| (found == name).then_some(value))
        };
        let (time, random) = field("Root")?.strip_prefix("1-")?.split_once('-')?;
        let parent = field("Parent")?;
        if !(is_hex(time, 8) && is_hex(random, 24) && is_hex(parent, 16)) {
            return None;
        }
        Self::new(&format!("{time}{random}"), parent, field("Sampled") == Some("1"))
    }

    fn new(trace_id: &str, parent: &str, is_sampled: bool) -> Option<Self> {
        let (trace_id, parent) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(parent).ok()?);
        let flags = TraceFlags::default().with_sampled(is_sampled);
        Self::valid(SpanContext::new(trace_id, parent, flags, true, TraceState::NONE))
    }

    /// That of the current span; `None` outside of a trace.
    pub fn current() -> Option<Self> {
        Context::map_current(|context| Self::valid(context.span().span_context().clone()))
    }

    pub(crate) fn valid(context: SpanContext) -> Option<Self> {
        context.is_valid().then_some(Self(context))
    }

    /// The value of a `traceparent` header.
    pub fn traceparent(&self) -> String {
        let flags = u8::from(self.0.is_sampled());
        format!("00-{}-{}-{flags:02x}", self.0.trace_id(), self.0.span_id())
    }

    /// The value of an X-Ray header.
    pub fn xray(&self) -> String {
        let (trace_id, sampled) = (self.trace_id(), u8::from(self.0.is_sampled()));
        let (time, random) = trace_id.split_at(8);
        format!("Root=1-{time}-{random};Parent={};Sampled={sampled}", self.0.span_id())
    }

    /// The id of the trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const XRAY: &str = "Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad;Sampled=1";
    const W3C: &str = "00-67891233abcdef012345678912345678-463ac35c9f6413ad-01";

    #[test]
    fn both_headers_have_the_same_content() {
        let context = TraceContext::from_xray(XRAY).unwrap();
        assert_eq!(TraceContext::from_traceparent(W3C), Some(context.clone()));
        assert_eq!((context.traceparent().as_str(), context.xray().as_str()), (W3C, XRAY));
        assert_eq!(context.trace_id(), "67891233abcdef012345678912345678");
        let later = format!("01{}-more", &W3C[2..]);
        assert_eq!(TraceContext::from_traceparent(&later), Some(context));
        let with_more = format!("Self=1-2-3; {};Lineage=a:1", XRAY.replace("Sampled=1", "Sampled=0"));
        assert!(TraceContext::from_xray(&with_more).unwrap().traceparent().ends_with("-00"));
    }

    #[test]
    fn an_invalid_header_has_no_context() {
        for header in [
            "",
            "Root=1-67891233-abcdef012345678912345678",
            "Root=1-67891233-abcdef012345678912345678;Parent=",
            "Root=1-67891233-abcdef01234567891234567;Parent=463ac35c9f6413ad",
            "Root=2-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad",
            "Root=1-6789123ü-abcdef012345678912345678;Parent=463ac35c9f6413ad",
            "Root=1-+7891233-abcdef012345678912345678;Parent=463ac35c9f6413ad",
            "Root=1-00000000-000000000000000000000000;Parent=463ac35c9f6413ad",
            "Root=1-67891233-abcdef012345678912345678;Parent=0000000000000000",
        ] {
            assert_eq!(TraceContext::from_xray(header), None, "{header}");
        }
        for header in [
            "",
            "00-1-2-01",
            "00-00000000000000000000000000000000-463ac35c9f6413ad-01",
            &W3C[1..],
            &format!("{W3C}-1"),
            &format!("ff{}", &W3C[2..]),
        ] {
            assert_eq!(TraceContext::from_traceparent(header), None, "{header}");
        }
    }
}
