//! Faults that a test asks for: the next calls of one action fail, before or after they took effect.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// Answer 500 without doing anything.
    FailBefore,
    /// Do what was asked, then answer 500: the client cannot know that it happened.
    FailAfter,
    /// Close the connection without doing or answering anything.
    DropBefore,
    /// Do what was asked, then close the connection without an answer.
    DropAfter,
}

impl Fault {
    pub(super) fn strikes_before(self) -> bool {
        matches!(self, Fault::Deny | Fault::FailBefore | Fault::DropBefore)
    }

    pub(super) fn drops(self) -> bool {
        matches!(self, Fault::DropBefore | Fault::DropAfter)
    }
}

/// The faults that wait for their call.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Mutex<HashMap<(Service, String), (Fault, usize)>>,
}

impl Faults {
    /// Lets the next `calls` calls of `action` (its API name: `Publish`, `PutObject`) suffer `fault`. A later
    /// order for the same action takes the place of an earlier one; zero calls cancel it.
    ///
    /// SDKs retry by themselves: a fault that the caller should notice needs as many calls as its client makes.
    pub fn strike(&self, service: Service, action: &str, fault: Fault, calls: usize) {
        self.waiting().insert((service, action.to_owned()), (fault, calls));
    }

    /// How many faults ordered for `action` have not struck yet.
    pub fn left(&self, service: Service, action: &str) -> usize {
        self.waiting().get(&(service, action.to_owned())).map_or(0, |(_, calls)| *calls)
    }

    pub(super) fn next(&self, service: Service, action: &str) -> Option<Fault> {
        let mut waiting = self.waiting();
        let (fault, calls) = waiting.get_mut(&(service, action.to_owned()))?;
        *calls = calls.checked_sub(1)?;
        Some(*fault)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<(Service, String), (Fault, usize)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
