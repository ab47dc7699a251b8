//! An OTLP collector on loopback, as an agent beside the programs: receives their spans over HTTP.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;

use crate::wait;

/// A running collector.
pub struct Collector {
    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub url: String,
    spans: Arc<Mutex<Vec<ExportedSpan>>>,
}

/// A span that was exported.
#[derive(Debug, Clone)]
pub struct ExportedSpan {
    /// The name of the program (`service.name`).
    pub service: String,
    /// The name of the span.
    pub name: String,
    /// Its kind, in lower case.
    pub kind: String,
    /// The trace, as hexadecimal digits.
    pub trace_id: String,
    /// The span, as hexadecimal digits.
    pub span_id: String,
    /// The parent, as hexadecimal digits; empty for none.
    pub parent_id: String,
    /// The attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether it failed.
    pub is_error: bool,
    /// The traces that it links to.
    pub links: Vec<String>,
}

impl Collector {
    /// Starts one.
    pub async fn start() -> Self {
        let spans = Arc::<Mutex<Vec<ExportedSpan>>>::default();
        let router = Router::new().route("/v1/traces", post(receive)).with_state(Arc::clone(&spans));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, spans }
    }

    /// The variables of a program that exports to it, soon after a span has ended.
    pub fn variables(&self) -> [(&'static str, &str); 2] {
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &self.url), ("OTEL_BSP_SCHEDULE_DELAY", "50")]
    }

    /// What was exported so far.
    pub fn spans(&self) -> Vec<ExportedSpan> {
        self.spans.lock().unwrap().clone()
    }

    /// Waits until `find` finds something among the spans.
    pub async fn until<T>(&self, what: &str, find: impl Fn(&[ExportedSpan]) -> Option<T>) -> T {
        wait::until(what, async || find(&self.spans())).await
    }
}

impl ExportedSpan {
    /// An attribute, or nothing.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

async fn receive(State(spans): State<Arc<Mutex<Vec<ExportedSpan>>>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    spans.lock().unwrap().extend(request.resource_spans.into_iter().flat_map(exported));
    StatusCode::OK
}

fn exported(ResourceSpans { resource, scope_spans, .. }: ResourceSpans) -> Vec<ExportedSpan> {
    let service = attributes(resource.unwrap_or_default().attributes).remove("service.name").unwrap();
    let spans = scope_spans.into_iter().flat_map(|scope| scope.spans);
    spans.map(|span| exported_span(&service, span)).collect()
}

fn exported_span(service: &str, span: Span) -> ExportedSpan {
    let kind = SpanKind::try_from(span.kind).unwrap().as_str_name();
    ExportedSpan {
        service: service.to_owned(),
        kind: kind.trim_start_matches("SPAN_KIND_").to_ascii_lowercase(),
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        is_error: span.status.is_some_and(|status| status.code() == SpanStatus::Error),
        links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
        attributes: attributes(span.attributes),
        name: span.name,
    }
}

fn attributes(list: Vec<KeyValue>) -> BTreeMap<String, String> {
    list.into_iter().map(|KeyValue { key, value, .. }| (key, text(value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => panic!("an attribute of another type: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
