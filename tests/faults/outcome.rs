//! The outcome of a task when a call fails, as observed from outside.

use integration_tests::wait;
use local_stack::aws::{CallRecord, Service, Subject};
use serde_json::Value;

use crate::case::{Case, Extent};
use crate::injection::InjectedFault;
use crate::scenario::{Environment, WORKER};
use crate::task::Task;

/// One row of the table: its cells.
pub(crate) type Row = Vec<String>;

/// Runs a case in an environment of its own and returns the observed row.
pub(crate) async fn observed(case: &Case) -> Row {
    let Case { scenario, extent, .. } = case;
    let environment = Environment::of(scenario).await;
    let (mut worker, fault);
    if scenario.at_the_start {
        environment.send(&scenario.task).await;
        fault = InjectedFault::of(case, &environment);
        worker = environment.worker(scenario);
    } else {
        worker = environment.worker(scenario);
        worker.logged("ready").await;
        fault = InjectedFault::of(case, &environment);
        environment.send(&scenario.task).await;
    }

    let mut during_outage = "";
    if let Extent::Until(calls) = *extent {
        wait::until("the calls to fail", async || (fault.triggered() >= calls).then_some(())).await;
        if !environment.has_completed(scenario.task).await {
            during_outage = "nothing; then ";
        }
        fault.clear();
    }
    let result = environment.result(scenario.task).await;
    environment.lab.emptied(&environment.runtime.queue.url).await;
    // The worker's last calls come after the deletion of the message.
    worker.signal("TERM");
    assert!(worker.exited().await.success(), "the worker did not exit with success");
    wait::until("an idle runtime", async || environment.simulation().running().is_none().then_some(())).await;
    assert!(fault.triggered() >= extent.calls(), "the fault was triggered {} times", fault.triggered());
    assert_eq!(
        environment.lab.counts(&environment.runtime.queue.dead_letter_url).await,
        (0, 0),
        "it is a dead letter"
    );
    if scenario.is_recorded {
        let status = result.split(':').next().unwrap();
        assert_eq!(environment.recorded_status().await, status, "the record agrees with the result");
    }
    let is_stored = !environment.lab.keys("_darkroom/failed/").await.is_empty();
    assert_eq!(is_stored, result.starts_with("failed"), "failed tasks are stored, and no others");

    vec![
        case.call.to_owned(),
        case.failure.to_string(),
        extent.to_string(),
        format!("{during_outage}{result}"),
        environment.deliveries().to_string(),
        environment.runs().to_string(),
        environment.notified(),
        environment.commits().to_string(),
    ]
}

impl Environment {
    /// Whether a notification has the result of the task.
    async fn has_completed(&self, task: Task) -> bool {
        if task == Task::Unreadable {
            return !self.lab.keys("_darkroom/unreadable/").await.is_empty();
        }
        !self.results().is_empty()
    }

    /// Waits for the result of the task.
    async fn result(&self, task: Task) -> String {
        if task == Task::Unreadable {
            wait::until("the message to be stored", async || self.has_completed(task).await.then_some(()))
                .await;
            return "stored".to_owned();
        }
        let completion = self.lab.completion(task.id()).await;
        match completion.error {
            None => "succeeded".to_owned(),
            Some(failure) => format!("failed: `{}`, {}", failure.code, attempts(failure.attempts)),
        }
    }

    /// The worker's AWS calls that took effect, whether it got the response or not.
    fn effective_calls(&self, action: &str) -> Vec<CallRecord> {
        let calls = self.aws().calls().into_iter();
        calls
            .filter(|call| call.caller == WORKER && call.action == action && call.took_effect.is_some())
            .collect()
    }

    /// How often the message was received.
    fn deliveries(&self) -> usize {
        let received = |call: CallRecord| match call.subject {
            Subject::Queue { deliveries, .. } => deliveries.len(),
            _ => 0,
        };
        self.effective_calls("ReceiveMessage").into_iter().map(received).sum()
    }

    /// How many jobs the runtime started for the task.
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
        self.effective_calls("Publish").into_iter().filter_map(message).collect()
    }

    /// Those among them with the result of the task.
    fn results(&self) -> Vec<Value> {
        self.published().into_iter().filter(|sent| sent.get("result").is_some()).collect()
    }

    /// How often the result was notified, and whether the repetitions can be recognised as such; how often the start was.
    fn notified(&self) -> String {
        let results = self.results();
        let begun = self.published().len() - results.len();
        let first = results.first();
        let same = results.iter().all(|other| {
            let is_same = |key: &str| first.is_some_and(|first| first[key] == other[key]);
            other["notification_id"].is_string() && is_same("notification_id") && is_same("task_status")
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
        self.effective_calls("PutObject").iter().filter(|call| is_out(call)).count()
    }
}

fn attempts(n: u32) -> String {
    if n == 1 { "1 attempt".to_owned() } else { format!("{n} attempts") }
}
