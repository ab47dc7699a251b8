//! Fault injection for HTTP calls: the connection breaks, or the response is 500, before or after the call takes effect.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{connection::Cutter, machine::Machine};

/// The failure of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// The connection breaks; the call has no effect.
    DropBefore,
    /// The call takes effect, then the connection breaks: the client does not know that it took effect.
    DropAfter,
    /// The response is 500; the call has no effect.
    FailBefore,
    /// The call takes effect, then the response is 500.
    FailAfter,
}

/// An order to inject a fault into the calls that match.
#[derive(Debug, Clone)]
pub struct Order {
    method: Method,
    path: String,
    fault: CallFault,
    skip: usize,
    calls: usize,
}

impl Order {
    /// The next call of `method` whose path has the prefix `path` (`/sdapi/v1/progress`, `/history/`) fails with `fault`.
    pub fn new(method: Method, path: &str, fault: CallFault) -> Self {
        Self { method, path: path.to_owned(), fault, skip: 0, calls: 1 }
    }

    /// Skips the first matching calls.
    pub fn skip(self, calls: usize) -> Self {
        Self { skip: calls, ..self }
    }

    /// The number of consecutive calls that fail.
    pub fn times(self, calls: usize) -> Self {
        Self { calls, ..self }
    }

    fn matches(&self, method: &Method, path: &str) -> bool {
        self.method == *method && path.starts_with(&self.path)
    }

    /// Whether two orders match the same calls.
    fn has_same_target(&self, other: &Self) -> bool {
        (&self.method, &self.path) == (&other.method, &other.path)
    }
}

/// The pending orders. They may be changed while the simulation runs.
#[derive(Debug, Default)]
pub struct CallFaults {
    pending: Mutex<Vec<Order>>,
}

impl CallFaults {
    /// Adds an order; it replaces an earlier one for the same calls. Of several that match a call, the first one that
    /// has no call left to skip is applied.
    pub fn order(&self, order: Order) {
        let mut pending = self.pending();
        pending.retain(|earlier| !earlier.has_same_target(&order));
        pending.push(order);
    }

    /// How many calls an order, or its replacement, has still to fail.
    pub fn left_of(&self, order: &Order) -> usize {
        let pending = self.pending();
        pending.iter().find(|other| other.has_same_target(order)).map_or(0, |order| order.calls)
    }

    /// Cancels an order, or its replacement.
    pub fn cancel(&self, order: &Order) {
        self.pending().retain(|other| !other.has_same_target(order));
    }

    fn next(&self, method: &Method, path: &str) -> Option<CallFault> {
        let mut pending = self.pending();
        let mut injected = None;
        for order in pending.iter_mut().filter(|order| order.matches(method, path)) {
            if order.skip > 0 {
                order.skip -= 1;
            } else if injected.is_none() && order.calls > 0 {
                order.calls -= 1;
                injected = Some(order.fault);
            }
        }
        pending.retain(|order| order.calls > 0);
        injected
    }

    fn pending(&self) -> MutexGuard<'_, Vec<Order>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Middleware: injects the faults into the calls that they match.
pub(crate) async fn inject(
    State(machine): State<Arc<Machine>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
    next: Next,
) -> Response {
    let failure = || (StatusCode::INTERNAL_SERVER_ERROR, "a test injected this failure").into_response();
    match machine.call_faults.next(request.method(), request.uri().path()) {
        None => next.run(request).await,
        Some(CallFault::DropBefore) => {
            cutter.cut();
            failure()
        }
        Some(CallFault::DropAfter) => {
            let response = next.run(request).await;
            cutter.cut();
            response
        }
        Some(CallFault::FailBefore) => failure(),
        Some(CallFault::FailAfter) => {
            next.run(request).await;
            failure()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_skipped_and_fail_as_ordered() {
        let faults = CallFaults::default();
        let order = Order::new(Method::GET, "/history/", CallFault::DropAfter).skip(1).times(2);
        faults.order(order.clone());
        let injected: Vec<_> = (0..4).map(|_| faults.next(&Method::GET, "/history/1")).collect();
        assert_eq!(injected, [None, Some(CallFault::DropAfter), Some(CallFault::DropAfter), None]);
        assert_eq!(faults.left_of(&order), 0);
    }

    #[test]
    fn other_methods_and_paths_are_not_affected() {
        let faults = CallFaults::default();
        let order = Order::new(Method::POST, "/queue", CallFault::FailBefore);
        faults.order(order.clone());
        assert_eq!(faults.next(&Method::GET, "/queue"), None);
        assert_eq!(faults.next(&Method::POST, "/prompt"), None);
        assert_eq!(faults.left_of(&order), 1);
        assert_eq!(faults.next(&Method::POST, "/queue"), Some(CallFault::FailBefore));
    }

    #[test]
    fn an_order_can_be_replaced_and_cancelled() {
        let faults = CallFaults::default();
        let order = Order::new(Method::GET, "/view", CallFault::FailBefore).times(9);
        faults.order(order.clone());
        faults.order(Order::new(Method::GET, "/view", CallFault::DropBefore));
        assert_eq!(faults.left_of(&order), 1);
        faults.cancel(&order);
        assert_eq!(faults.next(&Method::GET, "/view"), None);
    }
}
