//! The completion topic.

use local_stack::aws::Service;

use crate::case::Extent::{First, Nth, Until};
use crate::case::Failure::{CutAfter, CutBefore, Failed, Refused};
use crate::case::{Case, Target};
use crate::scenario::Scenario;
use crate::task::Task;

pub(crate) fn cases() -> Vec<Case> {
    let publish = Target::Aws(Service::Sns, "Publish", "");
    let task = Scenario::of(Task::Images);
    let ways = [
        (Failed, Nth(1)),
        (CutBefore, Nth(1)),
        (CutAfter, Nth(1)),
        (Failed, First(5)),
        (CutAfter, First(3)),
        (Failed, Until(7)),
        (Refused, Nth(1)),
        (Refused, Until(3)),
    ];
    let mut cases = Case::of("Publish of the completion", publish.clone(), &task, &ways);

    let ways = [(Failed, Nth(1)), (CutAfter, Nth(1)), (Failed, First(3)), (Refused, Nth(1))];
    let with_running = task.with(&[("EXP_CALLBACK_WHEN_RUNNING", "true")]);
    cases.extend(Case::of("Publish of the start", publish, &with_running, &ways));
    cases
}
