//! The entry point of every request: checks it, finds its service and action, and injects faults.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use tokio_util::sync::CancellationToken;

use super::AwsOptions;
use super::calls::{self, CallLog};
use super::connection::Connection;
use super::disk;
use super::dynamodb::DynamoDb;
use super::faults::{Fault, Faults, Service};
use super::permissions::Permissions;
use super::protocol::{Call, ServiceError};
use super::s3::S3;
use super::service_protocol::ServiceProtocol;
use super::sns::{self, Sns};
use super::sqs::Sqs;
use super::subject::{self, Delivery, Subject};
use crate::guard;

/// Queues with their messages, below the data folder; no bucket can have such a name.
const QUEUES: &str = ".queues";

/// Topics and subscriptions, beside them.
const TOPICS: &str = ".topics.json";

/// The tables, in a folder.
const TABLES: &str = ".tables";

/// Larger than any call that our programs make: a batch of 1 MiB, escaped.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// The emulated services, and the checks before all of them.
pub(super) struct Services {
    dynamodb: DynamoDb,
    s3: S3,
    sns: Sns,
    pub(super) sqs: Arc<Sqs>,
    pub(super) permissions: Permissions,
    pub(super) faults: Faults,
    pub(super) calls: CallLog,
    latency: Duration,
    /// Protects what is persisted from other processes.
    _lock: Option<File>,
}

/// A call, before its service handles it.
struct Incoming<'a> {
    connection: Connection,
    caller: &'a str,
    service: Service,
    action: &'a str,
    subject: Subject,
}

/// The outcome of a call: its response, and the messages of a receive.
struct Outcome {
    response: Response,
    received: Vec<Delivery>,
}

impl Services {
    pub(super) fn new(
        options: &AwsOptions,
        address: SocketAddr,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let persisted = |name: &str| options.persist_messages.then(|| options.data_dir.join(name));
        let lock = options.persist_messages.then(|| disk::lock(&options.data_dir)).transpose()?;
        let sqs = Arc::new(Sqs::new(persisted(QUEUES), stop.clone())?);
        Ok(Self {
            dynamodb: DynamoDb::new(persisted(TABLES).as_deref(), stop.clone())?,
            s3: S3::new(&options.data_dir, address)?,
            sns: Sns::new(Arc::clone(&sqs), address, persisted(TOPICS), stop)?,
            sqs,
            permissions: Permissions::default(),
            faults: Faults::default(),
            calls: CallLog::new(options.record_calls),
            latency: options.latency,
            _lock: lock,
        })
    }

    /// Waits for deliveries and deletions in progress, after the stop signal.
    pub(super) async fn finish(&self) {
        self.sns.finish_deliveries().await;
        self.dynamodb.finish().await;
    }

    /// Runs a call with the latency and the fault that were configured for it, if the caller has the permission.
    async fn answer(
        &self,
        incoming: Incoming<'_>,
        failure: impl FnOnce(Fault) -> Response,
        run: impl AsyncFnOnce(Option<Fault>) -> Outcome,
    ) -> Response {
        let Incoming { connection, caller, service, action, subject } = incoming;
        let resource = subject.resource().to_owned();
        let is_allowed = self.permissions.allow(caller, service, action, &subject);
        let mut record = self.calls.start(service, action, caller, subject);
        tokio::time::sleep(self.latency).await;
        let fault =
            if is_allowed { self.faults.next(service, action, caller, &resource) } else { Some(Fault::Deny) };
        record.set_fault(fault);
        if let Some(Fault::DelayBefore(delay)) = fault {
            tokio::time::sleep(delay).await;
        }
        let response = match fault {
            Some(fault) if fault.prevents() => failure(fault),
            fault => {
                let Outcome { response, received } = run(fault).await;
                if response.status().is_success() {
                    record.took_effect(received);
                }
                match fault {
                    Some(Fault::FailAfter) => failure(Fault::FailAfter),
                    _ => response,
                }
            }
        };
        if let Some(Fault::DelayAfter(delay)) = fault {
            tokio::time::sleep(delay).await;
        }
        if fault.is_some_and(Fault::drops) {
            connection.cut();
        } else {
            record.answered(response.status());
        }
        tracing::debug!(?service, action, status = response.status().as_u16(), ?fault, "aws call answered");
        response
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services")
            .field("faults", &self.faults)
            .field("latency", &self.latency)
            .finish_non_exhaustive()
    }
}

/// The one handler.
pub(super) async fn dispatch(
    State(services): State<Arc<Services>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    if let Err(refusal) = guard::check(request.headers()) {
        return *refusal;
    }
    if request.method() == Method::GET && request.uri().path() == sns::CERTIFICATE_PATH {
        return sns::certificate();
    }
    let (parts, body) = request.into_parts();
    let caller = calls::caller(&parts);
    let protocol = match ServiceProtocol::of(&parts) {
        None => return s3_object(&services, connection, &caller, Request::from_parts(parts, body)).await,
        Some(protocol) => protocol,
    };
    let body = match http_body_util::Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).into_response(),
    };
    match protocol.read(&parts, &body) {
        Ok((Service::DynamoDb, call)) => table(&services, connection, &caller, call).await,
        Ok((service, call)) => queue_or_topic(&services, connection, &caller, service, &call).await,
        Err(error) => (error.status, error.to_string()).into_response(),
    }
}

async fn s3_object(
    services: &Services,
    connection: Connection,
    caller: &str,
    request: Request<Body>,
) -> Response {
    let action = services.s3.action(request.method(), request.uri());
    let subject = Subject::of_object(request.uri().path());
    let may_list = services.permissions.may_list(caller);
    let run = async |_| {
        let response = services.s3.call(request).await;
        let is_hidden = response.status() == StatusCode::NOT_FOUND && !may_list;
        let response = if is_hidden { S3::failure(Fault::Deny) } else { response };
        Outcome { response, received: Vec::new() }
    };
    let incoming = Incoming { connection, caller, service: Service::S3, action, subject };
    services.answer(incoming, S3::failure, run).await
}

async fn table(services: &Services, connection: Connection, caller: &str, call: Call) -> Response {
    let (service, action) = (Service::DynamoDb, call.action.clone());
    let subject = Subject::of_call(service, &call);
    let run = async |_| Outcome { response: services.dynamodb.call(call).await, received: Vec::new() };
    let incoming = Incoming { connection, caller, service, action: &action, subject };
    services.answer(incoming, DynamoDb::failure, run).await
}

async fn queue_or_topic(
    services: &Services,
    connection: Connection,
    caller: &str,
    service: Service,
    call: &Call,
) -> Response {
    let failure = |fault| {
        let error = match fault {
            Fault::Deny => ServiceError::denied(),
            _ => ServiceError::internal("The test injected this failure."),
        };
        call.answer(Err(error))
    };
    let run = async |fault| {
        let outcome = match service {
            Service::Sns => services.sns.call(call, fault == Some(Fault::DeliverTwice)).await,
            _ => services.sqs.call(call).await,
        };
        if let Err(error) = &outcome {
            tracing::debug!(?service, action = call.action, %error, "aws call refused");
        }
        let received = outcome.as_ref().map(subject::received).unwrap_or_default();
        Outcome { response: call.answer(outcome), received }
    };
    let subject = Subject::of_call(service, call);
    let incoming = Incoming { connection, caller, service, action: &call.action, subject };
    services.answer(incoming, failure, run).await
}
