//! The bucket: results, the commit, records of failures, and what is read back.

use local_stack::aws::Service;
use simulated_runtimes::Fault;

use crate::case::Extent::{Between, Each, First, Nth, Until};
use crate::case::Failure::{Conflict, CutAfter, CutBefore, Failed, Refused};
use crate::case::{Case, Extent, Failure, Target};
use crate::scenario::Scenario;
use crate::task::Task;

/// The failures of any call.
const ONCE: [(Failure, Extent); 3] = [(Failed, Nth(1)), (CutBefore, Nth(1)), (CutAfter, Nth(1))];

pub(crate) fn cases() -> Vec<Case> {
    let of = |action, ending| Target::Aws(Service::S3, action, ending);
    let task = Scenario::of(Task::Images);
    let mut cases = Vec::new();
    let mut add = |call, target, scenario: &Scenario, more: &[(Failure, Extent)]| {
        cases.extend(Case::of(call, target, scenario, &[&ONCE, more].concat()));
    };

    let lasting = [(Failed, First(5)), (Failed, Until(7))];
    let start = task.clone().at_the_start();
    add(
        "GetObject of nothing, at the start",
        of("GetObject", "probe"),
        &start,
        &[(Failed, Each), (Refused, Each)],
    );
    add("HeadObject of `.out`", of("HeadObject", ".out"), &task, &[(Failed, Each)]);
    let back = task.clone().with_redelivery();
    add("GetObject of `.out`, redelivered", of("GetObject", ".out"), &back, &lasting);

    add("PutObject of the 1st image", of("PutObject", "-1.png"), &task, &lasting);
    add("PutObject of the 2nd image", of("PutObject", "-2.png"), &task, &lasting);
    add("PutObject of any image", of("PutObject", ".png"), &task, &[(Failed, Nth(2)), (Refused, Each)]);
    let more = [(Conflict, Nth(1)), (CutAfter, First(3)), (Failed, First(5)), (Failed, Until(7))];
    add("PutObject of `.out`", of("PutObject", ".out"), &task, &more);

    let failing = task.clone().failing(Fault::NotJson, 1);
    let journal = "_darkroom/attempts/*.json";
    add("PutObject of the journal", of("PutObject", journal), &failing, &[(Failed, Each)]);
    add("GetObject of the journal", of("GetObject", journal), &failing, &[(Failed, Each), (Refused, Each)]);

    let exception = Fault::Exception { node: None, kind: "RuntimeError".into(), message: "no luck".into() };
    let failed = task.clone().failing(exception, 1);
    add("PutObject of the journal of a failed task", of("PutObject", journal), &failed, &[(Failed, Each)]);
    let failed_task = "_darkroom/failed/*.json";
    add("PutObject of a failed task", of("PutObject", failed_task), &failed, &lasting);
    add("PutObject of the `.out` of a failed task", of("PutObject", ".out"), &failed, &lasting);
    add(
        "PutObject of an unreadable message",
        of("PutObject", ".json"),
        &Scenario::of(Task::Unreadable),
        &lasting,
    );

    let large = Scenario::of(Task::TooLarge);
    let task_key = "_darkroom/tasks/*.json";
    add("GetObject of a task", of("GetObject", task_key), &large, &[(Failed, First(5)), (Failed, Each)]);
    let input = Scenario::of(Task::FromBucket);
    add("GetObject of an input", of("GetObject", "cat.png"), &input, &[(Failed, First(5)), (Failed, Each)]);

    let asset = Scenario::of(Task::WorkflowFromAsset).recorded();
    let asset_key = "_darkroom/uploads/*";
    add("GetObject of an asset", of("GetObject", asset_key), &asset, &[(Failed, First(5)), (Failed, Each)]);

    // The first call belongs to the first delivery.
    let ways = [(Failed, Nth(2)), (CutAfter, Nth(2)), (Failed, Between(2, 6))];
    cases.extend(Case::of("HeadObject of `.out`, redelivered", of("HeadObject", ".out"), &back, &ways));

    let last = failed.with(&[("MAX_ATTEMPTS", "1")]);
    for (call, about) in [
        ("PutObject of a failed task, at its last attempt", failed_task),
        ("PutObject of the `.out` of a failed task, at its last attempt", ".out"),
    ] {
        cases.extend(Case::of(call, of("PutObject", about), &last, &[(Refused, Nth(1))]));
    }
    cases
}
