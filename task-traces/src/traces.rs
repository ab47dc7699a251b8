//! Records spans and exports them in the background. An export never delays a task: spans wait in a bounded queue, and are dropped
//! when it is full.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::SharedCredentialsProvider;
use opentelemetry::Context;
use opentelemetry::trace::{Link, Span as _, TraceContextExt, Tracer, TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::sync::Semaphore;

use crate::ids::TimedIds;
use crate::sender::Sender;
use crate::settings::Settings;
use crate::{Span, SpanName, TraceContext};

pub use crate::settings::VARIABLES;

/// The recorder of one program, or none.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Recorder>>);

struct Recorder {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    /// Whether spans were recorded since the last flush.
    has_spans: AtomicBool,
    /// One flush at a time: each blocks a thread.
    flushing: Arc<Semaphore>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").field(&self.0.is_some()).finish()
    }
}

/// What a span continues.
#[derive(Debug, Clone, Copy)]
pub enum Parent<'a> {
    /// A span of another process, if there is one.
    Remote(Option<&'a TraceContext>),
    /// Nothing: the span begins a trace that links to that span.
    Linked(&'a TraceContext),
    /// The current span.
    Current(&'a Context),
}

impl Traces {
    /// Records nothing, and passes contexts on.
    pub fn off() -> Self {
        Self::default()
    }

    /// As the variables `OTEL_*` of the process configure it. `service` is the name of the program unless they have another one;
    /// `credentials` sign what is sent to AWS X-Ray. Must be called within a Tokio runtime, which sends the spans.
    ///
    /// A configuration that cannot be used is logged, and nothing is recorded: traces must not stop tasks.
    pub fn from_env(service: &'static str, credentials: Option<SharedCredentialsProvider>) -> Self {
        let Some(settings) = Settings::from_vars(|name| std::env::var(name).ok()) else { return Self::off() };
        Self::new(&settings, service, credentials).unwrap_or_else(|error| {
            tracing::warn!(%error, "tracing is off: the variables OTEL_* are not valid");
            Self::off()
        })
    }

    /// Exports to that URL; everything else is as the variables configure it.
    ///
    /// # Errors
    ///
    /// If the URL or one of the variables is not valid.
    pub fn to_url(url: &str, service: &'static str) -> Result<Self, ExporterBuildError> {
        let var = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" => Some(url.to_owned()),
            _ => std::env::var(name).ok(),
        };
        Settings::from_vars(var)
            .map_or_else(|| Ok(Self::off()), |settings| Self::new(&settings, service, None))
    }

    fn new(
        settings: &Settings,
        service: &'static str,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<Self, ExporterBuildError> {
        let sender = Sender::new(&settings.url, settings.timeout, credentials);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_endpoint(&settings.url)
            .with_timeout(settings.timeout)
            .build()?;
        let mut resource = Resource::builder();
        if !settings.names_service {
            resource = resource.with_service_name(service);
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_id_generator(TimedIds::default())
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("darkroom");
        Ok(Self(Some(Arc::new(Recorder {
            provider,
            tracer,
            has_spans: AtomicBool::new(false),
            flushing: Arc::new(Semaphore::new(1)),
        }))))
    }

    /// Whether spans are recorded, if they are sampled.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Starts a span; it began at `at`, or begins now.
    pub fn start(&self, name: &SpanName, parent: Parent<'_>, at: Option<SystemTime>) -> Span {
        let Some(recorder) = &self.0 else {
            return match parent {
                Parent::Remote(parent) => Span::unrecorded(parent),
                Parent::Linked(linked) => Span::unrecorded(Some(linked)),
                Parent::Current(context) => Span { context: context.clone() },
            };
        };
        let mut builder = recorder.tracer.span_builder(name.name).with_kind(name.kind.clone());
        builder.start_time = at;
        let span = match parent {
            Parent::Current(context) => {
                let span = recorder.tracer.build_with_context(builder, context);
                return Span { context: context.with_span(span) };
            }
            Parent::Linked(TraceContext(linked)) => {
                builder.links = Some(vec![Link::with_context(linked.clone())]);
                recorder.tracer.build_with_context(builder, &Context::new())
            }
            Parent::Remote(None) => recorder.tracer.build_with_context(builder, &Context::new()),
            Parent::Remote(Some(TraceContext(parent))) => {
                let parent = Context::new().with_remote_span_context(parent.clone());
                recorder.tracer.build_with_context(builder, &parent)
            }
        };
        if span.is_recording() {
            recorder.has_spans.store(true, Ordering::Relaxed);
        }
        Span { context: Context::new().with_value(self.clone()).with_span(span) }
    }

    /// Exports the last spans and ends the recording; waits for that at most so long. Otherwise the end of the process waits for an
    /// export that hangs.
    pub async fn shut_down(&self, timeout: Duration) {
        let Some(recorder) = &self.0 else { return };
        let provider = recorder.provider.clone();
        let ending = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(timeout));
        // A failure is logged by the export itself.
        drop(ending.await);
    }

    /// Exports what is recorded so far, and waits for that at most so long. A failure is logged by the export itself.
    pub async fn flush(&self, timeout: Duration) {
        let Some(recorder) = &self.0 else { return };
        let Ok(permit) = Arc::clone(&recorder.flushing).try_acquire_owned() else { return };
        if recorder.has_spans.swap(false, Ordering::Relaxed) {
            let provider = recorder.provider.clone();
            let flushing = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                provider.force_flush()
            });
            tokio::time::timeout(timeout, flushing).await.ok();
        }
    }
}
