//! SD WebUI: every call that a worker makes to it.

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
    let (progress, options) = ("/sdapi/v1/progress", "/sdapi/v1/options");
    let task = Scenario::of(Task::Images);
    let mut cases = Vec::new();
    let mut add = |call, target, scenario: &Scenario, more: &[(Failure, Extent)]| {
        cases.extend(Case::of(call, target, scenario, &[&ONCE, more].concat()));
    };

    // Once the runtime is ready only the calls of tasks are made: these belong to the start.
    let start = task.clone().at_the_start();
    let lasting = [(Failed, Nth(2)), (CutAfter, Nth(2)), (Failed, Until(6)), (CutBefore, Until(6))];
    add("GET progress, at the start", get(progress), &start, &lasting);
    add("GET options, at the start", get(options), &start, &lasting);
    add("POST options, at the start", post(options), &start, &[(Failed, Until(6)), (CutAfter, Until(6))]);

    // The run of a killed worker is in the runtime then.
    let orphan = task.clone().running(5_000).with_orphans();
    add("POST interrupt, of an orphaned run", post("/sdapi/v1/interrupt"), &orphan, &[(Failed, Each)]);
    let smallest = post("/sdapi/v1/extra-single-image");
    add(
        "POST extra-single-image, behind an orphaned run",
        smallest,
        &orphan,
        &[(Failed, Each), (CutBefore, Each)],
    );

    let more = [(Failed, Each), (CutBefore, Each), (CutAfter, Each)];
    add("POST txt2img", post("/sdapi/v1/txt2img"), &task, &more);
    add("POST img2img", post("/sdapi/v1/img2img"), &Scenario::of(Task::FromBucket), &more);
    let long = task.clone().running(2_000);
    add(
        "GET progress, of a run",
        get(progress),
        &long,
        &[(Failed, Nth(2)), (Failed, Each), (CutBefore, Each)],
    );
    let too_long = task.clone().running(4_000).with(&[("RUN_TIMEOUT_SECONDS", "1")]);
    add(
        "POST interrupt, of a run that takes too long",
        post("/sdapi/v1/interrupt"),
        &too_long,
        &[(Failed, Each)],
    );

    let no_memory = task.clone().failing(Fault::OutOfMemory, 1);
    add("POST unload-checkpoint", post("/sdapi/v1/unload-checkpoint"), &no_memory, &[(Failed, Each)]);
    add("POST reload-checkpoint", post("/sdapi/v1/reload-checkpoint"), &no_memory, &[(Failed, Each)]);

    let switch = |model| Scenario::of(Task::ByModel(model)).with(&[("DYNAMIC_SD_MODEL", "true")]);
    let second = switch("second");
    let more = [(Failed, Nth(2)), (Failed, Nth(3)), (CutBefore, Until(6))];
    add("GET options, for a model", get(options), &second, &more);
    add(
        "GET sd-models, for a model",
        get("/sdapi/v1/sd-models"),
        &second,
        &[(Failed, First(2)), (Failed, Each)],
    );
    add(
        "POST options, to switch the model",
        post(options),
        &second,
        &[(CutBefore, Until(6)), (CutAfter, Until(6))],
    );
    let third = switch("third");
    let refresh = post("/sdapi/v1/refresh-checkpoints");
    add("POST refresh-checkpoints, for an unknown model", refresh, &third, &[(Failed, Each)]);
    cases
}
