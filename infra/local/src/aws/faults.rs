//! Fault injection for tests: future calls of one action fail or are slow, before or after they take effect.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An emulated service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// DynamoDB.
    DynamoDb,
    /// Simple Storage Service.
    S3,
    /// Simple Notification Service.
    Sns,
    /// Simple Queue Service.
    Sqs,
}

/// The failure of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Respond that the caller's role does not allow this, without effect.
    Deny,
    /// Respond without effect as to a write that races with another change: S3 with 409 to a conditional write, DynamoDB
    /// with `TransactionConflictException`.
    Conflict,
    /// Respond with 500 without effect.
    FailBefore,
    /// Run the call, then respond with 500: the client does not know that it took effect.
    FailAfter,
    /// Close the connection without effect or response.
    DropBefore,
    /// Run the call, then close the connection without a response.
    DropAfter,
    /// Wait, then run the call unless the client has disconnected meanwhile.
    DelayBefore(Duration),
    /// Run the call, and delay the response.
    DelayAfter(Duration),
    /// `Publish` only: each subscriber gets the message twice, as SNS may deliver it.
    DeliverTwice,
}

impl Fault {
    /// Whether the call has no effect.
    pub(super) fn prevents(self) -> bool {
        matches!(self, Fault::Deny | Fault::Conflict | Fault::FailBefore | Fault::DropBefore)
    }

    pub(super) fn drops(self) -> bool {
        matches!(self, Fault::DropBefore | Fault::DropAfter)
    }
}

/// An order to inject a fault into the calls that match.
#[derive(Debug, Clone)]
pub struct Order {
    service: Service,
    action: String,
    fault: Fault,
    caller: Option<String>,
    about: String,
    skip: usize,
    calls: usize,
}

impl Order {
    /// The next call of `action` (its API name: `Publish`, `PutObject`) fails with `fault`.
    pub fn new(service: Service, action: &str, fault: Fault) -> Self {
        let (action, about) = (action.to_owned(), String::new());
        Self { service, action, fault, caller: None, about, skip: 0, calls: 1 }
    }

    /// Only calls that this access key id signed.
    pub fn by(self, access_key: &str) -> Self {
        Self { caller: Some(access_key.to_owned()), ..self }
    }

    /// Only calls about a resource whose name has this suffix: an object's key, a queue's or table's name, a topic's ARN. With a
    /// `*` in it, the name must have the text before it as prefix and the text after it as suffix.
    pub fn about(self, suffix: &str) -> Self {
        Self { about: suffix.to_owned(), ..self }
    }

    /// Skips the first matching calls.
    pub fn skip(self, calls: usize) -> Self {
        Self { skip: calls, ..self }
    }

    /// The number of consecutive calls that fail.
    ///
    /// SDKs retry: a fault that the caller should notice needs as many calls as its client makes.
    pub fn times(self, calls: usize) -> Self {
        Self { calls, ..self }
    }

    fn matches(&self, service: Service, action: &str, caller: &str, resource: &str) -> bool {
        self.service == service
            && self.action == action
            && self.caller.as_ref().is_none_or(|wanted| wanted == caller)
            && match self.about.split_once('*') {
                Some((prefix, suffix)) => resource.starts_with(prefix) && resource.ends_with(suffix),
                None => resource.ends_with(&self.about),
            }
    }

    /// Whether two orders match the same calls.
    fn has_same_target(&self, other: &Self) -> bool {
        (self.service, &self.action, &self.caller, &self.about)
            == (other.service, &other.action, &other.caller, &other.about)
    }
}

/// The pending orders.
#[derive(Debug, Default)]
pub struct Faults {
    pending: Mutex<Vec<Order>>,
}

impl Faults {
    /// Makes the next `calls` calls of `action` fail with `fault`, for every caller.
    ///
    /// A later order replaces an earlier one; zero calls cancel it.
    pub fn strike(&self, service: Service, action: &str, fault: Fault, calls: usize) {
        self.order(Order::new(service, action, fault).times(calls));
    }

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

    /// Cancels all orders.
    pub fn clear(&self) {
        self.pending().clear();
    }

    /// How many calls of `action` have still to fail.
    pub fn left(&self, service: Service, action: &str) -> usize {
        let pending = self.pending();
        let orders = pending.iter().filter(|order| order.service == service && order.action == action);
        orders.map(|order| order.calls).sum()
    }

    pub(super) fn next(&self, service: Service, action: &str, caller: &str, resource: &str) -> Option<Fault> {
        let mut pending = self.pending();
        let mut injected = None;
        for order in pending.iter_mut().filter(|order| order.matches(service, action, caller, resource)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(faults: &Faults, caller: &str) -> Option<Fault> {
        faults.next(Service::Sns, "Publish", caller, "arn:topic")
    }

    #[test]
    fn calls_are_skipped_and_fail_as_ordered() {
        let faults = Faults::default();
        faults.order(Order::new(Service::Sns, "Publish", Fault::FailAfter).skip(2).times(2));
        let injected: Vec<_> = (0..5).map(|_| publish(&faults, "a")).collect();
        assert_eq!(injected, [None, None, Some(Fault::FailAfter), Some(Fault::FailAfter), None]);
    }

    #[test]
    fn other_callers_and_actions_are_not_affected() {
        let faults = Faults::default();
        faults.order(Order::new(Service::Sns, "Publish", Fault::Deny).by("a"));
        assert_eq!(publish(&faults, "b"), None);
        assert_eq!(faults.next(Service::Sns, "Subscribe", "a", "arn:topic"), None);
        assert_eq!(publish(&faults, "a"), Some(Fault::Deny));
    }

    #[test]
    fn an_order_can_be_restricted_to_a_resource() {
        let faults = Faults::default();
        let order = Order::new(Service::S3, "PutObject", Fault::FailBefore).about(".out");
        faults.order(order.clone());
        assert_eq!(faults.next(Service::S3, "PutObject", "a", "x/x-1.png"), None);
        assert_eq!(faults.left_of(&order), 1);
        assert_eq!(faults.next(Service::S3, "PutObject", "a", "x/x.out"), Some(Fault::FailBefore));
        assert_eq!(faults.left_of(&order), 0);
        faults.order(Order::new(Service::S3, "PutObject", Fault::Deny).about("x/*.json"));
        for (key, injected) in [("y/x/1.json", None), ("x/1.out", None), ("x/1.json", Some(Fault::Deny))] {
            assert_eq!(faults.next(Service::S3, "PutObject", "a", key), injected, "{key}");
        }
        faults.order(order.clone());
        faults.cancel(&order);
        assert_eq!(faults.next(Service::S3, "PutObject", "a", "x/x.out"), None);
    }

    #[test]
    fn a_later_order_replaces_an_earlier_one_for_the_same_calls() {
        let faults = Faults::default();
        faults.strike(Service::Sns, "Publish", Fault::Deny, 3);
        faults.order(Order::new(Service::Sns, "Publish", Fault::FailBefore).by("a"));
        assert_eq!(faults.left(Service::Sns, "Publish"), 4);
        faults.strike(Service::Sns, "Publish", Fault::Deny, 0);
        assert_eq!(faults.left(Service::Sns, "Publish"), 1);
    }
}
