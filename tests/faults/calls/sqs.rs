//! The queue: messages are received, extended, released and deleted.

use local_stack::aws::Service;
use simulated_runtimes::Fault;

use crate::case::Extent::{Each, First, Nth, Until};
use crate::case::Failure::{CutAfter, CutBefore, Failed, Refused};
use crate::case::{Case, Target};
use crate::scenario::Scenario;
use crate::task::Task;

pub(crate) fn cases() -> Vec<Case> {
    let of = |action| Target::Aws(Service::Sqs, action, "");
    let task = Scenario::of(Task::Images);
    let visibility = of("ChangeMessageVisibility");
    let mut cases = Vec::new();

    let ways = [
        (Failed, Nth(1)),
        (CutBefore, Nth(1)),
        (CutAfter, Nth(1)),
        (Failed, Nth(2)),
        (CutAfter, Nth(2)),
        (Failed, First(5)),
        (Failed, Until(7)),
    ];
    cases.extend(Case::of("ReceiveMessage", of("ReceiveMessage"), &task.clone().at_the_start(), &ways));

    // The visibility timeout is 5 s, extended after each third of that.
    let call = "ChangeMessageVisibility, to extend";
    let ways = [(Failed, Nth(1)), (CutAfter, Nth(1)), (Refused, Nth(1))];
    cases.extend(Case::of(call, visibility.clone(), &task.clone().running(3_000), &ways));
    let ways = [(Failed, Nth(2)), (CutAfter, Nth(2))];
    cases.extend(Case::of(call, visibility.clone(), &task.clone().running(4_800), &ways));
    cases.extend(Case::of(call, visibility.clone(), &task.clone().running(6_000), &[(Failed, Each)]));
    // With a longer visibility timeout, one extension has time for all retries of the SDK.
    let longer = task.clone().running(7_500).with(&[("VISIBILITY_TIMEOUT_SECONDS", "10")]);
    cases.extend(Case::of(call, visibility.clone(), &longer, &[(Failed, First(3))]));

    let ways = [(Failed, Nth(1)), (CutBefore, Nth(1)), (CutAfter, Nth(1)), (Failed, Each), (Refused, Nth(1))];
    let failing = task.clone().failing(Fault::NotJson, 1);
    cases.extend(Case::of("ChangeMessageVisibility, to release", visibility, &failing, &ways));

    let ways = [
        (Failed, Nth(1)),
        (CutBefore, Nth(1)),
        (CutAfter, Nth(1)),
        (Failed, First(5)),
        (Failed, Until(7)),
        (Refused, Nth(1)),
    ];
    cases.extend(Case::of("DeleteMessage", of("DeleteMessage"), &task, &ways));
    cases
}
