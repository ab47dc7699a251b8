//! The table of task records.

use local_stack::aws::Service;

use crate::case::Extent::{Between, Each, First, Nth, Until};
use crate::case::Failure::{Conflict, CutAfter, CutBefore, Failed, Refused};
use crate::case::{Case, Target};
use crate::scenario::Scenario;
use crate::task::Task;

pub(crate) fn cases() -> Vec<Case> {
    let update = Target::Aws(Service::DynamoDb, "UpdateItem", "");
    let task = Scenario::of(Task::Images).recorded();
    let ways = [
        (Failed, Nth(1)),
        (CutBefore, Nth(1)),
        (CutAfter, Nth(1)),
        (Conflict, Nth(1)),
        (Failed, First(3)),
        (Refused, Nth(1)),
        (Refused, Until(3)),
    ];
    let mut cases = Case::of("UpdateItem of the start", update.clone(), &task, &ways);

    // The first is that of the start.
    let ways = [
        (Failed, Nth(2)),
        (CutBefore, Nth(2)),
        (CutAfter, Nth(2)),
        (Failed, Between(2, 7)),
        (Refused, Nth(2)),
        (Refused, Between(2, 3)),
    ];
    cases.extend(Case::of("UpdateItem of the result", update, &task, &ways));

    let get = Target::Aws(Service::DynamoDb, "GetItem", "");
    let ways = [(Failed, Nth(1)), (CutAfter, Nth(1)), (Refused, Each)];
    cases.extend(Case::of("GetItem during a run", get, &task.running(5_000), &ways));
    cases
}
