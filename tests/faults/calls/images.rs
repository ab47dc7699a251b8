//! The server of the images that a task names.

use crate::case::Extent::{Each, First, Nth};
use crate::case::Failure::{CutAfter, Failed};
use crate::case::{Case, Target};
use crate::scenario::Scenario;
use crate::task::Task;

pub(crate) fn cases() -> Vec<Case> {
    let task = Scenario::of(Task::FromImages);
    let ways = [(Failed, Nth(1)), (CutAfter, Nth(1)), (Failed, First(2)), (Failed, Each), (CutAfter, Each)];
    let first = Case::of("GET of the 1st image", Target::Images("first.png"), &task, &ways);
    [first, Case::of("GET of the 2nd image", Target::Images("second.png"), &task, &ways)].concat()
}
