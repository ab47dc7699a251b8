//! Faults that a test orders: coming calls of one action fail or are slow, before or after they took effect.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An emulated service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Simple Storage Service.
    S3,
    /// Simple Notification Service.
    Sns,
    /// Simple Queue Service.
    Sqs,
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answer that the caller's role does not allow this, without doing anything.
    Deny,
    /// Answer 409 without doing anything, as S3 answers a conditional write that races with another change.
    Conflict,
    /// Answer 500 without doing anything.
    FailBefore,
    /// Do what was asked, then answer 500: the client cannot know that it happened.
    FailAfter,
    /// Close the connection without doing or answering anything.
    DropBefore,
    /// Do what was asked, then close the connection without an answer.
    DropAfter,
    /// Do nothing for so long, then what was asked, unless the client has gone away meanwhile.
    DelayBefore(Duration),
    /// Do what was asked, and answer so much later.
    DelayAfter(Duration),
    /// `Publish` only: each subscriber gets the message twice, as SNS may deliver it.
    DeliverTwice,
}

impl Fault {
    /// Whether the call is answered without being carried out.
    pub(super) fn prevents(self) -> bool {
        matches!(self, Fault::Deny | Fault::Conflict | Fault::FailBefore | Fault::DropBefore)
    }

    pub(super) fn drops(self) -> bool {
        matches!(self, Fault::DropBefore | Fault::DropAfter)
    }
}

/// An order for a fault: which calls shall suffer it.
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
    /// The next call of `action` (its API name: `Publish`, `PutObject`) shall suffer `fault`.
    pub fn new(service: Service, action: &str, fault: Fault) -> Self {
        let (action, about) = (action.to_owned(), String::new());
        Self { service, action, fault, caller: None, about, skip: 0, calls: 1 }
    }

    /// Only calls that this access key id signed.
    pub fn by(self, access_key: &str) -> Self {
        Self { caller: Some(access_key.to_owned()), ..self }
    }

    /// Only calls about something whose name ends so: an object's key, a queue's name, a topic's ARN. With a `*` in it, only
    /// what begins with the text before and ends with the text behind.
    pub fn about(self, ending: &str) -> Self {
        Self { about: ending.to_owned(), ..self }
    }

    /// Spare so many calls first.
    pub fn skip(self, calls: usize) -> Self {
        Self { skip: calls, ..self }
    }

    /// Strike so many calls, one after the other.
    ///
    /// SDKs retry by themselves: a fault that the caller should notice needs as many calls as its client makes.
    pub fn times(self, calls: usize) -> Self {
        Self { calls, ..self }
    }

    fn concerns(&self, service: Service, action: &str, caller: &str, resource: &str) -> bool {
        self.service == service
            && self.action == action
            && self.caller.as_ref().is_none_or(|wanted| wanted == caller)
            && match self.about.split_once('*') {
                Some((beginning, ending)) => resource.starts_with(beginning) && resource.ends_with(ending),
                None => resource.ends_with(&self.about),
            }
    }

    /// Whether two orders are for the same calls, whatever shall become of them.
    fn is_for_the_calls_of(&self, other: &Self) -> bool {
        (self.service, &self.action, &self.caller, &self.about)
            == (other.service, &other.action, &other.caller, &other.about)
    }
}

/// The faults that wait for their calls.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Mutex<Vec<Order>>,
}

impl Faults {
    /// Lets the next `calls` calls of `action` suffer `fault`, whoever makes them.
    ///
    /// A later order takes the place of an earlier one; zero calls cancel it.
    pub fn strike(&self, service: Service, action: &str, fault: Fault, calls: usize) {
        self.order(Order::new(service, action, fault).times(calls));
    }

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

    /// Cancels all orders.
    pub fn clear(&self) {
        self.waiting().clear();
    }

    /// How many faults ordered for `action` have not struck yet.
    pub fn left(&self, service: Service, action: &str) -> usize {
        let waiting = self.waiting();
        let ordered = waiting.iter().filter(|order| order.service == service && order.action == action);
        ordered.map(|order| order.calls).sum()
    }

    pub(super) fn next(&self, service: Service, action: &str, caller: &str, resource: &str) -> Option<Fault> {
        let mut waiting = self.waiting();
        let mut struck = None;
        for order in waiting.iter_mut().filter(|order| order.concerns(service, action, caller, resource)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(faults: &Faults, caller: &str) -> Option<Fault> {
        faults.next(Service::Sns, "Publish", caller, "arn:topic")
    }

    #[test]
    fn calls_are_spared_and_struck_as_ordered() {
        let faults = Faults::default();
        faults.order(Order::new(Service::Sns, "Publish", Fault::FailAfter).skip(2).times(2));
        let struck: Vec<_> = (0..5).map(|_| publish(&faults, "a")).collect();
        assert_eq!(struck, [None, None, Some(Fault::FailAfter), Some(Fault::FailAfter), None]);
    }

    #[test]
    fn other_callers_and_actions_are_left_alone() {
        let faults = Faults::default();
        faults.order(Order::new(Service::Sns, "Publish", Fault::Deny).by("a"));
        assert_eq!(publish(&faults, "b"), None);
        assert_eq!(faults.next(Service::Sns, "Subscribe", "a", "arn:topic"), None);
        assert_eq!(publish(&faults, "a"), Some(Fault::Deny));
    }

    #[test]
    fn what_a_call_is_about_can_matter() {
        let faults = Faults::default();
        let order = Order::new(Service::S3, "PutObject", Fault::FailBefore).about(".out");
        faults.order(order.clone());
        assert_eq!(faults.next(Service::S3, "PutObject", "a", "x/x-1.png"), None);
        assert_eq!(faults.left_of(&order), 1);
        assert_eq!(faults.next(Service::S3, "PutObject", "a", "x/x.out"), Some(Fault::FailBefore));
        assert_eq!(faults.left_of(&order), 0);
        faults.order(Order::new(Service::S3, "PutObject", Fault::Deny).about("x/*.json"));
        for (key, struck) in [("y/x/1.json", None), ("x/1.out", None), ("x/1.json", Some(Fault::Deny))] {
            assert_eq!(faults.next(Service::S3, "PutObject", "a", key), struck, "{key}");
        }
        faults.order(order.clone());
        faults.cancel(&order);
        assert_eq!(faults.next(Service::S3, "PutObject", "a", "x/x.out"), None);
    }

    #[test]
    fn a_later_order_takes_the_place_of_an_earlier_one_for_the_same_calls() {
        let faults = Faults::default();
        faults.strike(Service::Sns, "Publish", Fault::Deny, 3);
        faults.order(Order::new(Service::Sns, "Publish", Fault::FailBefore).by("a"));
        assert_eq!(faults.left(Service::Sns, "Publish"), 4);
        faults.strike(Service::Sns, "Publish", Fault::Deny, 0);
        assert_eq!(faults.left(Service::Sns, "Publish"), 1);
    }
}
