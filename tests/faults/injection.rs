//! The fault of a case, injected into the service that answers the call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use integration_tests::image_server::cat;
use local_stack::aws;
use simulated_runtimes::{self as runtimes, CallFault};

use crate::case::{Case, Extent, Failure, Target};
use crate::scenario::{Environment, WORKER};

/// More calls than any case makes.
const ALL: usize = 1_000_000;

/// A fault that has been injected.
pub(crate) struct InjectedFault<'a> {
    environment: &'a Environment,
    calls: usize,
    service: Service,
}

/// The service in which the calls fail.
enum Service {
    Aws(aws::Order),
    Runtime(runtimes::Order),
    Images(Arc<Requests>),
}

impl<'a> InjectedFault<'a> {
    /// Injects the fault of a case.
    pub(crate) fn of(case: &Case, environment: &'a Environment) -> Self {
        let (skip, calls) = match case.extent {
            Extent::Nth(n) => (n - 1, 1),
            Extent::First(n) => (0, n),
            Extent::Between(from, to) => (from - 1, to + 1 - from),
            Extent::Each | Extent::Until(_) => (0, ALL),
        };
        let service = match &case.target {
            Target::Aws(aws_service, action, about) => {
                let order = aws::Order::new(*aws_service, action, of_aws(case.failure));
                let order = order.by(WORKER).about(about).skip(skip).times(calls);
                environment.aws().faults().order(order.clone());
                Service::Aws(order)
            }
            Target::Runtime(method, path) => {
                let order = runtimes::Order::new(method.clone(), path, of_runtime(case.failure));
                let order = order.skip(skip).times(calls);
                environment.simulation().call_faults().order(order.clone());
                Service::Runtime(order)
            }
            Target::Images(path) => {
                let requests = Arc::new(Requests { skip: skip.into(), left: calls.into() });
                let (counted, failure) = (Arc::clone(&requests), case.failure);
                environment.images.respond_with(path, move |_| {
                    if counted.fails() { failed_response(failure) } else { image() }
                });
                Service::Images(requests)
            }
        };
        Self { environment, calls, service }
    }

    /// How many calls have failed so far.
    pub(crate) fn triggered(&self) -> usize {
        let left = match &self.service {
            Service::Aws(order) => self.environment.aws().faults().left_of(order),
            Service::Runtime(order) => self.environment.simulation().call_faults().left_of(order),
            Service::Images(requests) => requests.left.load(Ordering::SeqCst),
        };
        self.calls - left
    }

    /// Lets all further calls pass.
    pub(crate) fn clear(&self) {
        match &self.service {
            Service::Aws(order) => self.environment.aws().faults().cancel(order),
            Service::Runtime(order) => self.environment.simulation().call_faults().cancel(order),
            Service::Images(requests) => requests.left.store(0, Ordering::SeqCst),
        }
    }
}

/// The requests for an image that are still to succeed and to fail.
struct Requests {
    skip: AtomicUsize,
    left: AtomicUsize,
}

impl Requests {
    fn fails(&self) -> bool {
        let take = |from: &AtomicUsize| {
            from.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        !take(&self.skip) && take(&self.left)
    }
}

fn of_aws(failure: Failure) -> aws::Fault {
    match failure {
        Failure::Refused => aws::Fault::Deny,
        Failure::Conflict => aws::Fault::Conflict,
        Failure::Failed => aws::Fault::FailBefore,
        Failure::CutBefore => aws::Fault::DropBefore,
        Failure::CutAfter => aws::Fault::DropAfter,
    }
}

fn of_runtime(failure: Failure) -> CallFault {
    match failure {
        Failure::Failed => CallFault::FailBefore,
        Failure::CutBefore => CallFault::DropBefore,
        Failure::CutAfter => CallFault::DropAfter,
        Failure::Refused | Failure::Conflict => unreachable!("no runtime answers so"),
    }
}

fn image() -> Response {
    ([(header::CONTENT_TYPE, "image/png")], cat()).into_response()
}

fn failed_response(failure: Failure) -> Response {
    match failure {
        Failure::CutAfter => {
            let half = Bytes::from(cat()).split_to(cat().len() / 2);
            let body = stream::iter([Ok(half), Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe))]);
            Body::from_stream(body).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
