//! The fault of a case, ordered from whoever answers the call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use integration_tests::image_server::cat;
use local_stack::aws;
use simulated_runtimes::{self as runtimes, CallFault};

use crate::case::{Case, Extent, Target, Wrong};
use crate::scenario::{WORKER, World};

/// More calls than any case makes.
const ALL: usize = 1_000_000;

/// A fault that waits for its calls.
pub(crate) struct Ordered<'a> {
    world: &'a World,
    calls: usize,
    by: By,
}

/// Who was told to let the calls fail.
enum By {
    Aws(aws::Order),
    Runtime(runtimes::Order),
    Images(Arc<Strikes>),
}

impl<'a> Ordered<'a> {
    /// Orders the fault of a case.
    pub(crate) fn of(case: &Case, world: &'a World) -> Self {
        let (skip, calls) = match case.extent {
            Extent::Nth(n) => (n - 1, 1),
            Extent::First(n) => (0, n),
            Extent::Between(from, to) => (from - 1, to + 1 - from),
            Extent::Each | Extent::Until(_) => (0, ALL),
        };
        let by = match &case.target {
            Target::Aws(service, action, about) => {
                let order = aws::Order::new(*service, action, of_aws(case.wrong));
                let order = order.by(WORKER).about(about).skip(skip).times(calls);
                world.aws().faults().order(order.clone());
                By::Aws(order)
            }
            Target::Runtime(method, path) => {
                let order = runtimes::Order::new(method.clone(), path, of_runtime(case.wrong));
                let order = order.skip(skip).times(calls);
                world.simulation().call_faults().order(order.clone());
                By::Runtime(order)
            }
            Target::Images(path) => {
                let strikes = Arc::new(Strikes { skip: skip.into(), left: calls.into() });
                let (asked, wrong) = (Arc::clone(&strikes), case.wrong);
                world
                    .images
                    .respond_with(path, move |_| if asked.strike() { spoilt(wrong) } else { image() });
                By::Images(strikes)
            }
        };
        Self { world, calls, by }
    }

    /// How many calls have suffered it.
    pub(crate) fn struck(&self) -> usize {
        let left = match &self.by {
            By::Aws(order) => self.world.aws().faults().left_of(order),
            By::Runtime(order) => self.world.simulation().call_faults().left_of(order),
            By::Images(strikes) => strikes.left.load(Ordering::SeqCst),
        };
        self.calls - left
    }

    /// Lets all further calls pass.
    pub(crate) fn let_go(&self) {
        match &self.by {
            By::Aws(order) => self.world.aws().faults().cancel(order),
            By::Runtime(order) => self.world.simulation().call_faults().cancel(order),
            By::Images(strikes) => strikes.left.store(0, Ordering::SeqCst),
        }
    }
}

/// The requests for an image that are still to be spared and to be struck.
struct Strikes {
    skip: AtomicUsize,
    left: AtomicUsize,
}

impl Strikes {
    fn strike(&self) -> bool {
        let take = |from: &AtomicUsize| {
            from.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        !take(&self.skip) && take(&self.left)
    }
}

fn of_aws(wrong: Wrong) -> aws::Fault {
    match wrong {
        Wrong::Refused => aws::Fault::Deny,
        Wrong::Conflict => aws::Fault::Conflict,
        Wrong::Failed => aws::Fault::FailBefore,
        Wrong::CutBefore => aws::Fault::DropBefore,
        Wrong::CutAfter => aws::Fault::DropAfter,
    }
}

fn of_runtime(wrong: Wrong) -> CallFault {
    match wrong {
        Wrong::Failed => CallFault::FailBefore,
        Wrong::CutBefore => CallFault::DropBefore,
        Wrong::CutAfter => CallFault::DropAfter,
        Wrong::Refused | Wrong::Conflict => unreachable!("no runtime answers so"),
    }
}

fn image() -> Response {
    ([(header::CONTENT_TYPE, "image/png")], cat()).into_response()
}

fn spoilt(wrong: Wrong) -> Response {
    match wrong {
        Wrong::CutAfter => {
            let half = Bytes::from(cat()).split_to(cat().len() / 2);
            let body = stream::iter([Ok(half), Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe))]);
            Body::from_stream(body).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
