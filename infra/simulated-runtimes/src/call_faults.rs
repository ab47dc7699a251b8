//! Faults that a test orders for calls of one kind, whatever they are about: the connection breaks, or the answer is 500,
//! before or after the call took effect.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{connection::Cutter, machine::Machine};

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// The connection breaks; nothing is done.
    DropBefore,
    /// What was asked is done, then the connection breaks: the client cannot know that it happened.
    DropAfter,
    /// The answer is 500; nothing is done.
    FailBefore,
    /// What was asked is done, then the answer is 500.
    FailAfter,
}

/// An order for a fault: which calls shall suffer it.
#[derive(Debug, Clone)]
pub struct Order {
    method: Method,
    path: String,
    fault: CallFault,
    skip: usize,
    calls: usize,
}

impl Order {
    /// The next call of `method` whose path begins so (`/sdapi/v1/progress`, `/history/`) shall suffer `fault`.
    pub fn new(method: Method, path: &str, fault: CallFault) -> Self {
        Self { method, path: path.to_owned(), fault, skip: 0, calls: 1 }
    }

    /// Spare so many calls first.
    pub fn skip(self, calls: usize) -> Self {
        Self { skip: calls, ..self }
    }

    /// Strike so many calls, one after the other.
    pub fn times(self, calls: usize) -> Self {
        Self { calls, ..self }
    }

    fn concerns(&self, method: &Method, path: &str) -> bool {
        self.method == *method && path.starts_with(&self.path)
    }

    /// Whether two orders are for the same calls, whatever shall become of them.
    fn is_for_the_calls_of(&self, other: &Self) -> bool {
        (&self.method, &self.path) == (&other.method, &other.path)
    }
}

/// The orders that wait for their calls. May be changed while the simulation runs.
#[derive(Debug, Default)]
pub struct CallFaults {
    waiting: Mutex<Vec<Order>>,
}

impl CallFaults {
    /// Takes an order, in place of an earlier one for the same calls. Of several that concern a call, the first one that
    /// has no call left to spare strikes.
    pub fn order(&self, order: Order) {
        let mut waiting = self.waiting();
        waiting.retain(|earlier| !earlier.is_for_the_calls_of(&order));
        waiting.push(order);
    }

    /// How many calls an order, or what took its place, has still to strike.
    pub fn left_of(&self, order: &Order) -> usize {
        let waiting = self.waiting();
        waiting.iter().find(|other| other.is_for_the_calls_of(order)).map_or(0, |order| order.calls)
    }

    /// Cancels an order, or what took its place.
    pub fn cancel(&self, order: &Order) {
        self.waiting().retain(|other| !other.is_for_the_calls_of(order));
    }

    fn next(&self, method: &Method, path: &str) -> Option<CallFault> {
        let mut waiting = self.waiting();
        let mut struck = None;
        for order in waiting.iter_mut().filter(|order| order.concerns(method, path)) {
            if order.skip > 0 {
                order.skip -= 1;
            } else if struck.is_none() && order.calls > 0 {
                order.calls -= 1;
                struck = Some(order.fault);
            }
        }
        waiting.retain(|order| order.calls > 0);
        struck
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Order>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Middleware: lets a call suffer what was ordered for it, and passes on the others.
pub(crate) async fn strike(
    State(machine): State<Arc<Machine>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
    next: Next,
) -> Response {
    let failure = || (StatusCode::INTERNAL_SERVER_ERROR, "a test ordered this failure").into_response();
    match machine.call_faults.next(request.method(), request.uri().path()) {
        None => next.run(request).await,
        Some(CallFault::DropBefore) => {
            cutter.cut();
            failure()
        }
        Some(CallFault::DropAfter) => {
            let answer = next.run(request).await;
            cutter.cut();
            answer
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
    fn calls_are_spared_and_struck_as_ordered() {
        let faults = CallFaults::default();
        let order = Order::new(Method::GET, "/history/", CallFault::DropAfter).skip(1).times(2);
        faults.order(order.clone());
        let struck: Vec<_> = (0..4).map(|_| faults.next(&Method::GET, "/history/1")).collect();
        assert_eq!(struck, [None, Some(CallFault::DropAfter), Some(CallFault::DropAfter), None]);
        assert_eq!(faults.left_of(&order), 0);
    }

    #[test]
    fn other_methods_and_paths_are_left_alone() {
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
