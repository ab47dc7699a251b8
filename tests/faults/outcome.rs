//! What became of a task although a call failed, as seen from outside.

use integration_tests::wait;
use local_stack::aws::{CallRecord, Service, Subject};
use serde_json::Value;

use crate::case::{Case, Extent};
use crate::injection::Ordered;
use crate::scenario::{WORKER, World};
use crate::task::Task;

/// One row of the table: its cells.
pub(crate) type Row = Vec<String>;

/// Plays a case in a lab of its own and writes down what happened.
pub(crate) async fn observed(case: &Case) -> Row {
    let Case { scene, extent, .. } = case;
    let world = World::of(scene).await;
    let (mut worker, fault);
    if scene.at_the_start {
        world.send(&scene.task).await;
        fault = Ordered::of(case, &world);
        worker = world.worker(scene);
    } else {
        worker = world.worker(scene);
        worker.logged("ready").await;
        fault = Ordered::of(case, &world);
        world.send(&scene.task).await;
    }

    let mut meanwhile = "";
    if let Extent::Until(calls) = *extent {
        wait::until("the calls to fail", async || (fault.struck() >= calls).then_some(())).await;
        if !world.has_ended(scene.task).await {
            meanwhile = "nothing; then ";
        }
        fault.let_go();
    }
    let end = world.end(scene.task).await;
    world.lab.emptied(&world.runtime.queue.url).await;
    // What the worker does last it does after the message is gone.
    worker.signal("TERM");
    assert!(worker.exited().await.success(), "the worker did not end well");
    wait::until("an idle runtime", async || world.simulation().running().is_none().then_some(())).await;
    assert!(fault.struck() >= extent.calls(), "the fault struck {} times", fault.struck());
    assert_eq!(world.lab.counts(&world.runtime.queue.dead_letter_url).await, (0, 0), "it is a dead letter");
    let kept = !world.lab.keys("_darkroom/failed/").await.is_empty();
    assert_eq!(kept, end.starts_with("failed"), "what failed is kept, and nothing else");

    vec![
        case.call.to_owned(),
        case.wrong.to_string(),
        extent.to_string(),
        format!("{meanwhile}{end}"),
        world.deliveries().to_string(),
        world.runs().to_string(),
        world.told(),
        world.commits().to_string(),
    ]
}

impl World {
    /// Whether the task has ended, as far as anybody was told.
    async fn has_ended(&self, task: Task) -> bool {
        if task == Task::Unreadable {
            return !self.lab.keys("_darkroom/unreadable/").await.is_empty();
        }
        !self.results().is_empty()
    }

    /// Waits for the end of the task, and says what it was.
    async fn end(&self, task: Task) -> String {
        if task == Task::Unreadable {
            wait::until("the message to be kept", async || self.has_ended(task).await.then_some(())).await;
            return "kept".to_owned();
        }
        let completion = self.lab.completion(task.id()).await;
        match completion.error {
            None => "succeeded".to_owned(),
            Some(failure) => format!("failed: `{}`, {}", failure.code, attempts(failure.attempts)),
        }
    }

    /// What the worker did at AWS, whether it learnt of it or not.
    fn done(&self, action: &str) -> Vec<CallRecord> {
        let calls = self.aws().calls().into_iter();
        calls
            .filter(|call| call.caller == WORKER && call.action == action && call.took_effect.is_some())
            .collect()
    }

    /// How often the message was handed out.
    fn deliveries(&self) -> usize {
        let handed_out = |call: CallRecord| match call.subject {
            Subject::Queue { deliveries, .. } => deliveries.len(),
            _ => 0,
        };
        self.done("ReceiveMessage").into_iter().map(handed_out).sum()
    }

    /// How often the runtime worked on the task.
    fn runs(&self) -> usize {
        self.simulation().busy().iter().filter(|job| self.is_of_task(&job.label)).count()
    }

    /// The notifications that were published.
    fn published(&self) -> Vec<Value> {
        let message = |call: CallRecord| match call.subject {
            Subject::Topic { message, .. } if call.service == Service::Sns => {
                serde_json::from_str(&message).ok()
            }
            _ => None,
        };
        self.done("Publish").into_iter().filter_map(message).collect()
    }

    /// Those among them that say how the task ended.
    fn results(&self) -> Vec<Value> {
        self.published().into_iter().filter(|told| told.get("result").is_some()).collect()
    }

    /// How often the end was told, and whether the repetitions can be told for such; how often the beginning was.
    fn told(&self) -> String {
        let results = self.results();
        let begun = self.published().len() - results.len();
        let first = results.first();
        let same = results.iter().all(|told| {
            let said = |key: &str| first.is_some_and(|first| first[key] == told[key]);
            told["notification_id"].is_string() && said("notification_id") && said("task_status")
        });
        let results = match (results.len(), same) {
            (0 | 1, _) => results.len().to_string(),
            (several, true) => format!("{several}, one id"),
            (several, false) => format!("{several}, not the same"),
        };
        if begun == 0 { results } else { format!("{results}; running: {begun}") }
    }

    /// How often an `.out` file was written.
    fn commits(&self) -> usize {
        let is_out =
            |call: &CallRecord| matches!(&call.subject, Subject::Object { key, .. } if key.ends_with(".out"));
        self.done("PutObject").iter().filter(|call| is_out(call)).count()
    }
}

fn attempts(n: u32) -> String {
    if n == 1 { "1 attempt".to_owned() } else { format!("{n} attempts") }
}
