//! Runs one prompt, node by node.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use serde_json::{Map, Value, json};

use super::{
    Comfy,
    cache::{self, Cache},
    graph::Plan,
    job::{Job, link},
    messages::EventSender,
    nodes::{Call, Data, EXPANDING, Made, Raised},
};
use crate::{behaviour::StepTimer, faults::Fault, python};

/// The outcome of a prompt, as in the history.
#[derive(Default)]
pub(super) struct JobOutcome {
    pub(super) completed: bool,
    pub(super) outputs: Map<String, Value>,
    pub(super) meta: Map<String, Value>,
    pub(super) messages: Vec<Value>,
}

/// Why a node did not finish.
enum Stop {
    Raised(Raised),
    Interrupted,
    /// The process restarts: the job is lost without an event.
    Restart,
}

/// Runs `job`. None if the process restarted in the middle.
pub(super) async fn execute(
    comfy: &Arc<Comfy>,
    job: &Arc<Job>,
    fault: Option<Fault>,
    cache: &mut Cache,
) -> Option<JobOutcome> {
    comfy.interrupted.store(false, Ordering::SeqCst);
    let mut events = EventSender::new(comfy, job);
    events.milestone("execution_start", json!({}));
    let signatures = cache::signatures(comfy, job);
    cache.keep_only(&signatures);
    let mut execution = Execution::new(comfy, job, fault, cache, &signatures);
    let cached: Vec<_> = job.prompt.keys().filter(|node| execution.cached(node).is_some()).collect();
    events.milestone("execution_cached", json!({"nodes": cached}));
    match execution.run(&mut events).await {
        Ok(()) => {
            events.milestone("execution_success", json!({}));
            execution.outcome.completed = true;
        }
        Err((node, Stop::Interrupted)) => {
            let data =
                json!({"node_id": node, "node_type": job.class(&node), "executed": execution.executed});
            events.milestone("execution_interrupted", with_id_first(job, data));
        }
        Err((node, Stop::Raised(raised))) => {
            events.milestone("execution_error", with_id_first(job, execution.describe_error(&node, &raised)));
        }
        Err((_, Stop::Restart)) => return None,
    }
    let mut outcome = execution.outcome;
    if !outcome.completed {
        outcome.outputs.clear();
        outcome.meta.clear();
    }
    outcome.messages = events.history;
    Some(outcome)
}

/// The message of the input that blocks a node, if one does.
fn blocked(inputs: &[(String, Data)]) -> Option<Option<&str>> {
    inputs.iter().find_map(|(_, data)| match data {
        Data::Blocked(message) => Some(message.as_deref()),
        _ => None,
    })
}

fn with_id_first(job: &Job, data: Value) -> Value {
    let mut ordered = Map::from_iter([("prompt_id".to_owned(), json!(job.id))]);
    ordered.extend(data.as_object().cloned().unwrap_or_default());
    Value::Object(ordered)
}

struct Execution<'a> {
    comfy: &'a Arc<Comfy>,
    job: &'a Arc<Job>,
    cache: &'a mut Cache,
    signatures: &'a HashMap<String, String>,
    fault: Option<Fault>,
    /// Nodes that ran, in order.
    executed: Vec<String>,
    outcome: JobOutcome,
}

impl<'a> Execution<'a> {
    fn new(
        comfy: &'a Arc<Comfy>,
        job: &'a Arc<Job>,
        fault: Option<Fault>,
        cache: &'a mut Cache,
        signatures: &'a HashMap<String, String>,
    ) -> Self {
        Self { comfy, job, cache, signatures, fault, executed: Vec::new(), outcome: JobOutcome::default() }
    }

    fn cached(&self, node: &str) -> Option<&Arc<Made>> {
        self.cache.get(self.signatures.get(node)?)
    }

    async fn run(&mut self, events: &mut EventSender<'_>) -> Result<(), (String, Stop)> {
        let mut plan = Plan::new(self.job, &self.comfy.definitions, |node| self.cached(node).is_some());
        let fresh: Vec<_> =
            plan.nodes().filter(|node| self.cached(node).is_none()).map(str::to_owned).collect();
        let steps: u32 = fresh.iter().map(|node| 1 + self.sampler_steps(node)).sum();
        let mut timer = self.comfy.machine.step_timer(steps.into());
        let failing = self.failing_node(&fresh);
        while let Some(node) = plan.next() {
            if let Some(made) = self.cached(&node).cloned() {
                self.show_cached(events, &node, &made);
            } else {
                events.node_started(&node);
                let fails = failing.is_none() || failing.as_ref() == Some(&node);
                let made = self.run_node(events, &node, &mut timer, fails).await;
                let made = made.map_err(|stop| (node.clone(), stop))?;
                if let Some(shown) = &made.shown {
                    self.show(events, &node, shown);
                }
                events.node_finished(&node);
                self.executed.push(node.clone());
            }
            plan.done(&node);
        }
        Ok(())
    }

    async fn run_node(
        &mut self,
        events: &mut EventSender<'_>,
        node: &str,
        timer: &mut StepTimer,
        fails: bool,
    ) -> Result<Arc<Made>, Stop> {
        self.check_interrupt()?;
        if fails {
            self.inject_fault().await?;
        }
        let inputs = self.inputs(node);
        if let Some(message) = blocked(&inputs) {
            if let Some(message) = message {
                events.blocked(node, self.job.class(node), &self.executed, message);
            }
            let outputs = vec![Data::Blocked(None); self.comfy.definitions.outputs(self.job.class(node))];
            return Ok(self.cache_result(node, Made { outputs, ..Made::default() }));
        }
        let steps = self.sampler_steps(node);
        for step in 1..=steps {
            timer.step(1.0).await;
            self.check_interrupt()?;
            events.node_steps(node, step, steps);
            if self.previews() {
                events.preview(node);
            }
        }
        timer.step(1.0).await;
        let spoiled = match self.fault {
            Some(Fault::OtherFormat(sample)) => Some(sample),
            _ => None,
        };
        let (comfy, job) = (Arc::clone(self.comfy), Arc::clone(self.job));
        let call = Call { comfy, job, node: node.to_owned(), inputs, spoiled };
        let made = tokio::task::spawn_blocking(move || call.run()).await;
        let made = made.unwrap_or_else(|error| Err(Raised::new("RuntimeError", error.to_string())));
        let made = made.map_err(Stop::Raised)?;
        let count = u32::try_from(made.frames.len()).unwrap_or(u32::MAX);
        for (index, frame) in (0..).zip(&made.frames) {
            events.node_steps(node, index, count);
            events.output_picture(frame);
        }
        Ok(self.cache_result(node, made))
    }

    /// Puts the result of a node into the cache.
    fn cache_result(&mut self, node: &str, made: Made) -> Arc<Made> {
        let made = Arc::new(made);
        if let Some(signature) = self.signatures.get(node) {
            self.cache.insert(signature.clone(), Arc::clone(&made));
        }
        made
    }

    /// Injects the planned fault, once.
    async fn inject_fault(&mut self) -> Result<(), Stop> {
        match self.fault.take() {
            Some(Fault::Exception { kind, message, .. } | Fault::Broken { kind, message }) => {
                Err(Stop::Raised(Raised { kind, message }))
            }
            Some(Fault::OutOfMemory) => Err(Stop::Raised(Raised::out_of_memory())),
            Some(Fault::Restart) => Err(Stop::Restart),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::DropWebSocket) => {
                self.comfy.sockets().cut(self.job.client());
                Ok(())
            }
            other => {
                self.fault = other;
                Ok(())
            }
        }
    }

    /// The node in which the planned exception is raised, if the plan names one that runs.
    fn failing_node(&self, fresh: &[String]) -> Option<String> {
        let Some(Fault::Exception { node: Some(wanted), .. }) = &self.fault else { return None };
        fresh.iter().find(|node| *node == wanted || self.job.class(node) == wanted).cloned()
    }

    /// No event is sent for the nodes that a cached node was expanded into.
    fn tells_cached(&self, node: &str) -> bool {
        let has_event = self.job.client().is_some() || self.comfy.version.shows_cached_without_client();
        has_event && self.job.class(node) != EXPANDING
    }

    /// A cached output is sent again if there is a client; without one the history has no outputs either.
    fn show_cached(&mut self, events: &mut EventSender<'_>, node: &str, made: &Made) {
        if let Some(shown) = made.shown.as_ref().filter(|_| self.tells_cached(node)) {
            self.show(events, node, shown);
        }
        events.node_finished(node);
    }

    /// The output of an expanded node is that of the node that it was expanded into.
    fn show(&mut self, events: &EventSender<'_>, node: &str, shown: &Value) {
        let (id, parent) = match self.job.class(node) {
            EXPANDING => (format!("{node}.0.0.1"), Some(node)),
            _ => (node.to_owned(), None),
        };
        events.executed(&id, node, shown);
        let meta = json!({"node_id": id, "display_node": node, "parent_node": parent, "real_node_id": node});
        self.outcome.outputs.insert(id.clone(), shown.clone());
        self.outcome.meta.insert(id, meta);
    }

    fn check_interrupt(&self) -> Result<(), Stop> {
        if self.comfy.interrupted.load(Ordering::SeqCst) { Err(Stop::Interrupted) } else { Ok(()) }
    }

    fn sampler_steps(&self, node: &str) -> u32 {
        if self.job.class(node) != "KSampler" {
            return 0;
        }
        let steps = self.job.input(node, "steps").and_then(Value::as_u64).unwrap_or_default();
        u32::try_from(steps).unwrap_or(u32::MAX)
    }

    fn previews(&self) -> bool {
        let method = self.job.extra_data.get("preview_method").and_then(Value::as_str);
        matches!(method, Some("auto" | "latent2rgb" | "taesd"))
    }

    /// The values of a node's inputs; links are resolved to results.
    fn inputs(&self, node: &str) -> Vec<(String, Data)> {
        let value = |value: &Value| match link(value) {
            Some((from, slot)) => self.cached(from)?.outputs.get(slot).cloned(),
            None => Some(Data::Value(value.clone())),
        };
        self.job.inputs(node).filter_map(|(name, input)| Some((name.clone(), value(input)?))).collect()
    }

    fn describe_error(&self, node: &str, raised: &Raised) -> Value {
        let class = self.job.class(node);
        let mut inputs: Map<String, Value> = self
            .inputs(node)
            .into_iter()
            .map(|(name, data)| match data {
                Data::Value(value) => (name, json!([value])),
                other => (name, json!([format!("{other:.200?}")])),
            })
            .collect();
        let hidden = self.comfy.definitions.class(class).and_then(|class| class.pointer("/input/hidden"));
        if hidden.is_some() {
            inputs
                .insert("prompt".to_owned(), json!([python::repr(&Value::Object(self.job.prompt.clone()))]));
            let extra = self.job.extra_data.get("extra_pnginfo").cloned().unwrap_or_default();
            inputs.insert("extra_pnginfo".to_owned(), json!([extra]));
        }
        json!({
            "node_id": node,
            "node_type": class,
            "executed": self.executed,
            "exception_message": raised.message,
            "exception_type": raised.kind,
            "traceback": ["  File \"/opt/ComfyUI/execution.py\", line 1, in execute\n"],
            "current_inputs": inputs,
            "current_outputs": self.job.prompt.keys().rev().collect::<Vec<_>>(),
        })
    }
}
