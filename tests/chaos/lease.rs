//! Which pod held which message, and for how long: each delivery with its lease, as recorded by SQS.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use local_stack::aws::{CallRecord, Subject};

use crate::history::task_in;

/// A delivery to a worker, and how long its lease was valid.
pub(crate) struct Lease {
    pub(crate) pod: String,
    pub(crate) message_id: String,
    /// The task in the message; empty for one that cannot be parsed.
    pub(crate) task: String,
    pub(crate) received: Instant,
    /// Receipt, extensions and releases: when they took effect, and until when the message was hidden then.
    extensions: Vec<(Instant, Instant)>,
    pub(crate) deleted: Option<Instant>,
}

/// All leases.
pub(crate) struct Leases {
    all: Vec<Lease>,
    by_handle: HashMap<String, usize>,
    by_message: HashMap<String, Vec<usize>>,
    by_task: HashMap<String, Vec<usize>>,
}

impl Leases {
    /// Those of the workers, whose access key ids begin with `pod-`.
    pub(crate) fn of(calls: &[CallRecord]) -> Self {
        let mut effective: Vec<(Instant, &CallRecord)> = calls
            .iter()
            .filter(|call| call.caller.starts_with("pod-"))
            .filter_map(|call| Some((call.took_effect?, call)))
            .collect();
        effective.sort_by_key(|(at, _)| *at);
        let mut leases = Self {
            all: Vec::new(),
            by_handle: HashMap::new(),
            by_message: HashMap::new(),
            by_task: HashMap::new(),
        };
        for (at, call) in effective {
            leases.record(at, call);
        }
        leases
    }

    fn record(&mut self, at: Instant, call: &CallRecord) {
        let Subject::Queue { deliveries, visibility, .. } = &call.subject else { return };
        let until = at + visibility.unwrap_or_default();
        for delivery in deliveries {
            let known = self.by_handle.get(&delivery.receipt_handle).copied();
            match (call.action.as_str(), known) {
                ("ReceiveMessage", None) => {
                    let index = self.all.len();
                    let task = delivery.body.as_deref().and_then(task_in).unwrap_or_default();
                    self.by_handle.insert(delivery.receipt_handle.clone(), index);
                    self.by_message.entry(delivery.message_id.clone()).or_default().push(index);
                    self.by_task.entry(task.clone()).or_default().push(index);
                    self.all.push(Lease {
                        pod: call.caller.clone(),
                        message_id: delivery.message_id.clone(),
                        task,
                        received: at,
                        extensions: vec![(at, until)],
                        deleted: None,
                    });
                }
                ("ChangeMessageVisibility", Some(index)) => self.all[index].extensions.push((at, until)),
                ("DeleteMessage", Some(index)) => {
                    self.all[index].deleted.get_or_insert(at);
                }
                _ => {}
            }
        }
    }

    pub(crate) fn all(&self) -> &[Lease] {
        &self.all
    }

    pub(crate) fn by_handle(&self, handle: &str) -> Option<&Lease> {
        self.by_handle.get(handle).map(|index| &self.all[*index])
    }

    /// Whether the pod may act for the task: its lease is valid, or no other pod has received the message since.
    ///
    /// Only deliveries before `begun` count: a later lease does not cover what was begun under an earlier one.
    pub(crate) fn allow(&self, pod: &str, task: &str, begun: Instant, at: Instant) -> bool {
        let mut own = self.of_task(task).filter(|lease| lease.pod == pod && lease.received <= begun);
        own.any(|lease| lease.is_valid(at) || !self.is_superseded(lease, at))
    }

    /// When the pod received a message of the task last, by then.
    pub(crate) fn last_receipt(&self, pod: &str, task: &str, by: Instant) -> Option<Instant> {
        let own = self.of_task(task).filter(|lease| lease.pod == pod);
        own.map(|lease| lease.received).filter(|received| *received <= by).max()
    }

    /// Whether another pod had received the message by then.
    pub(crate) fn is_superseded(&self, lease: &Lease, at: Instant) -> bool {
        let same_message = self.by_message.get(&lease.message_id).into_iter().flatten();
        let mut others = same_message.map(|index| &self.all[*index]).filter(|other| other.pod != lease.pod);
        others.any(|other| lease.received < other.received && other.received < at)
    }

    fn of_task(&self, task: &str) -> impl Iterator<Item = &Lease> {
        self.by_task.get(task).into_iter().flatten().map(|index| &self.all[*index])
    }
}

impl Lease {
    /// Whether the lease was valid then. A deletion changes nothing: no worker receives the message after it, and a
    /// worker that was killed before the response leaves another process to notify and to delete once more.
    fn is_valid(&self, at: Instant) -> bool {
        let extension = self.extensions.iter().rev().find(|(from, _)| *from <= at);
        extension.is_some_and(|(_, until)| at <= *until)
    }

    /// Whether the lease expired: the message was neither deleted nor released.
    pub(crate) fn is_expired(&self) -> bool {
        let (from, until) = self.extensions[self.extensions.len() - 1];
        self.deleted.is_none() && until > from && until + Duration::from_millis(1) < Instant::now()
    }
}
