//! ComfyUI: every call that a worker makes to it.

use reqwest::Method;
use simulated_runtimes::Fault;

use crate::case::Extent::{Each, First, Nth, Until};
use crate::case::Failure::{CutAfter, CutBefore, Failed};
use crate::case::{Case, Extent, Failure, Target};
use crate::scenario::Scenario;
use crate::task::Task;

/// The failures of any call.
const ONCE: [(Failure, Extent); 3] = [(Failed, Nth(1)), (CutBefore, Nth(1)), (CutAfter, Nth(1))];

pub(crate) fn cases() -> Vec<Case> {
    let get = |path| Target::Runtime(Method::GET, path);
    let post = |path| Target::Runtime(Method::POST, path);
    let task = Scenario::of(Task::Workflow).running(600);
    let mut cases = Vec::new();
    let mut add = |call, target, scenario: &Scenario, more: &[(Failure, Extent)]| {
        cases.extend(Case::of(call, target, scenario, &[&ONCE, more].concat()));
    };

    // The longest first: the others run in parallel to them.
    let hopeless = task.clone().with(&[("MAX_ATTEMPTS", "1")]);
    add(
        "GET history, of a job",
        get("/history/"),
        &hopeless,
        &[(CutBefore, First(5)), (Failed, Each), (CutBefore, Each)],
    );
    let too_long = Scenario::of(Task::Sampling).running(5_000).with(&[("RUN_TIMEOUT_SECONDS", "1")]);
    add("POST interrupt, of a run that takes too long", post("/interrupt"), &too_long, &[(Failed, Each)]);
    let too_long = too_long.with_current_comfyui();
    add("POST jobs/cancel, of a run that takes too long", post("/api/jobs/"), &too_long, &[(Failed, Each)]);

    let start = task.clone().at_the_start();
    let lasting = [(Failed, Nth(2)), (Failed, Until(6)), (CutBefore, Until(6))];
    add("GET system_stats, at the start", get("/system_stats"), &start, &lasting[1..]);
    add("GET prompt, at the start", get("/prompt"), &start, &lasting[1..]);
    add("GET queue, at the start", get("/queue"), &start, &lasting);
    add("POST jobs/cancel, at the start", post("/api/jobs/"), &start, &lasting[2..]);
    let orphans = Scenario::of(Task::Sampling).running(5_000).with_orphans();
    add("POST queue, with orphaned runs", post("/queue"), &orphans, &[(Failed, Each)]);
    add("POST interrupt, of an orphaned run", post("/interrupt"), &orphans, &[(Failed, Each)]);

    let from_image = Scenario::of(Task::WorkflowFromImage);
    add(
        "POST upload/image",
        post("/upload/image"),
        &from_image,
        &[(Failed, Each), (CutBefore, Each), (CutAfter, Each)],
    );
    let own_saver = Scenario::of(Task::OwnSaver);
    add(
        "POST upload/image, of a folder",
        post("/upload/image"),
        &own_saver,
        &[(Failed, Each), (CutBefore, Each)],
    );
    add("GET ws", get("/ws"), &task, &[(Failed, Each), (CutBefore, Each)]);
    let over_socket = Scenario::of(Task::OverSocket).running(600);
    add("GET ws, which brings the images", get("/ws"), &over_socket, &[(CutBefore, Each)]);
    add("POST prompt", post("/prompt"), &task, &[(CutBefore, Each), (CutAfter, Each)]);
    // While its socket reports the job, the worker does not request the queue.
    let without_socket = Scenario::of(Task::Workflow).running(2_000).failing(Fault::DropWebSocket, 1);
    add("GET history, of a job without its socket", get("/history/"), &without_socket, &[]);
    add(
        "GET queue, of a job",
        get("/queue"),
        &without_socket,
        &[(Failed, Nth(2)), (Failed, Each), (CutBefore, Each)],
    );
    let more = [(Failed, Nth(2)), (CutBefore, Nth(3)), (Failed, First(2)), (Failed, Each), (CutBefore, Each)];
    add("GET view", get("/view"), &task, &more);
    add("POST history, to forget a job", post("/history"), &task, &[(Failed, Each), (CutBefore, Each)]);
    let no_memory = task.clone().failing(Fault::OutOfMemory, 1);
    add("POST free", post("/free"), &no_memory, &[(Failed, Each), (CutBefore, Each)]);
    cases
}
