//! The faults that are injected, and when: a pure function of the seed.

use std::fmt;
use std::time::Duration;

use local_stack::aws::{Fault, Service};
use simulated_runtimes::Fault as RuntimeFault;

use crate::cluster::{COMFYUI_PODS, PODS};
use crate::random::Random;

/// One disruption of one pod.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// How many tasks are submitted before it is due.
    pub(crate) after: usize,
    /// The pod that it affects.
    pub(crate) pod: usize,
    /// The disruption.
    pub(crate) disruption: Disruption,
}

/// The disruption.
#[derive(Debug, Clone)]
pub(crate) enum Disruption {
    /// `kill -9` of the worker.
    KillWorker(Moment),
    /// The runtime's process is killed, and restarts after a while.
    KillRuntime(Moment, Duration),
    /// Both containers are killed.
    KillBoth(Moment, Duration),
    /// SIGTERM to the worker, as when a pod is moved.
    Stop(Moment),
    /// The next run never ends, or never begins.
    Hang(RuntimeFault),
    /// The next run fails, and so does each after it until the runtime's process restarts, as after a sticky CUDA error.
    BreakGpu(RuntimeFault),
    /// The next run, or call of the runtime, fails.
    FailRuntime(RuntimeFault),
    /// AWS calls of the pod's worker fail or are slow.
    Break(AwsCall, Fault, usize),
    /// SQS delivers a message again that the pod's worker is processing.
    DeliverAgain,
    /// SNS delivers the next task twice.
    PublishTwice,
    /// A message that cannot be parsed, in the pod's queue.
    Poison(&'static str),
    /// A task whose receivers are all killed, until SQS moves it to the dead-letter queue.
    KillEachReceiver,
}

/// The moment at which a worker is disrupted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// It has received a task whose input is being fetched.
    Preparing,
    /// Its runtime executes a run.
    Running,
    /// It has made this call, which has not taken effect yet, and never will.
    Before(AwsCall),
    /// The call took effect, and the worker gets no response.
    After(AwsCall),
}

/// A call that a worker makes.
#[derive(Clone, Copy)]
pub(crate) struct AwsCall {
    pub(crate) name: &'static str,
    pub(crate) service: Service,
    pub(crate) action: &'static str,
    /// How the name of what it is about ends.
    pub(crate) about: &'static str,
}

impl Disruption {
    /// The kind, under which the report counts it.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::KillWorker(moment) => format!("kill -9 of the worker, {moment}"),
            Self::KillRuntime(moment, _) => format!("kill of the runtime, {moment}"),
            Self::KillBoth(moment, _) => format!("kill of both, {moment}"),
            Self::Stop(moment) => format!("SIGTERM to the worker, {moment}"),
            Self::Hang(_) => "hung runtime".to_owned(),
            Self::BreakGpu(fault) if *fault == cuda_error() => "broken GPU, known error".to_owned(),
            Self::BreakGpu(_) => "broken GPU, unlisted error".to_owned(),
            Self::FailRuntime(_) => "failing runtime".to_owned(),
            Self::Break(call, Fault::DelayBefore(_) | Fault::DelayAfter(_), _) => {
                format!("slow AWS call, {call:?}")
            }
            Self::Break(call, ..) => format!("broken AWS call, {call:?}"),
            Self::DeliverAgain => "second delivery by SQS".to_owned(),
            Self::PublishTwice => "second delivery by SNS".to_owned(),
            Self::Poison(_) => "poison".to_owned(),
            Self::KillEachReceiver => "kill -9 of the worker on every receive".to_owned(),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preparing => f.write_str("while it prepares"),
            Self::Running => f.write_str("in mid-run"),
            Self::Before(call) => write!(f, "before {call:?}"),
            Self::After(call) => write!(f, "after {call:?}"),
        }
    }
}

impl fmt::Debug for AwsCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn call(name: &'static str, service: Service, action: &'static str, about: &'static str) -> AwsCall {
    AwsCall { name, service, action, about }
}

const RECEIVE: AwsCall = call("receive", Service::Sqs, "ReceiveMessage", "");
const EXTEND: AwsCall = call("change visibility", Service::Sqs, "ChangeMessageVisibility", "");
const GET_OUT: AwsCall = call("get .out", Service::S3, "GetObject", ".out");
const PUT_FILE: AwsCall = call("put file", Service::S3, "PutObject", ".png");
const PUT_OUT: AwsCall = call("put .out", Service::S3, "PutObject", ".out");
const UPDATE: AwsCall = call("update record", Service::DynamoDb, "UpdateItem", "");
const PUBLISH: AwsCall = call("publish", Service::Sns, "Publish", "");
const DELETE: AwsCall = call("delete", Service::Sqs, "DeleteMessage", "");

const CALLS: [AwsCall; 8] = [RECEIVE, EXTEND, GET_OUT, UPDATE, PUT_FILE, PUT_OUT, PUBLISH, DELETE];

const POISON: [&str; 4] =
    ["{nope", r#"{"Message": "{nope"}"#, r#"{"hello": 1}"#, r#"{"metadata": {"id": ""}, "content": {}}"#];

/// A text in the errors of broken runtimes, and in no others.
pub(crate) const BROKEN: &str = "the buffer holds other numbers than were written";

/// More calls than an AWS SDK makes for one operation, retries included.
const PAST_SDK_RETRIES: usize = 4;

/// The schedule for a run of that many tasks with that many kills, and a number of all other faults in proportion. `hidden` is
/// the visibility timeout: some delays are longer.
pub(crate) fn schedule(seed: u64, tasks: usize, kills: usize, hidden: Duration) -> Vec<Event> {
    let random = &mut Random::new(seed);
    let mut disruptions = cycled(random, kills_of_each_kind, kills);
    disruptions.extend(cycled(random, |random| broken_calls(random, hidden), tasks.div_ceil(8)));
    disruptions.extend(cycled(random, runtime_failures, kills.div_ceil(2)));
    disruptions.extend(cycled(
        random,
        |_| vec![Disruption::Hang(RuntimeFault::Hang), Disruption::Hang(RuntimeFault::DeadWorker)],
        kills.div_ceil(10),
    ));
    disruptions.extend(cycled(
        random,
        |_| [cuda_error(), unlisted_error()].map(Disruption::BreakGpu).to_vec(),
        kills.div_ceil(10),
    ));
    disruptions.extend(cycled(
        random,
        |_| [Moment::Running, Moment::Preparing].map(Disruption::Stop).to_vec(),
        kills.div_ceil(4),
    ));
    disruptions.extend(cycled(
        random,
        |_| vec![Disruption::DeliverAgain, Disruption::PublishTwice],
        kills.div_ceil(2),
    ));
    disruptions.extend(cycled(random, |_| POISON.map(Disruption::Poison).to_vec(), kills.div_ceil(5)));
    disruptions.extend(cycled(random, |_| vec![Disruption::KillEachReceiver], kills.div_ceil(20)));
    random.shuffle(&mut disruptions);

    let count = disruptions.len();
    let place = |(index, disruption): (usize, Disruption)| {
        let needs_comfyui =
            matches!(disruption, Disruption::KillEachReceiver | Disruption::Hang(RuntimeFault::DeadWorker));
        let pods = if needs_comfyui { COMFYUI_PODS } else { 0..PODS.len() };
        let pod = pods.start + random.below(pods.len());
        // The last tenth of the tasks is processed without disruptions.
        Event { after: index * tasks * 9 / count / 10, pod, disruption }
    };
    disruptions.into_iter().enumerate().map(place).collect()
}

/// `count` of all kinds, in rounds of a random order each.
fn cycled(
    random: &mut Random,
    kinds: impl Fn(&mut Random) -> Vec<Disruption>,
    count: usize,
) -> Vec<Disruption> {
    let mut disruptions = Vec::new();
    while disruptions.len() < count {
        let mut round = kinds(random);
        random.shuffle(&mut round);
        disruptions.extend(round);
    }
    disruptions.truncate(count);
    disruptions
}

fn kills_of_each_kind(random: &mut Random) -> Vec<Disruption> {
    let mut downtime = || Duration::from_millis(100 + 200 * random.below(8) as u64);
    let mut kinds = vec![
        Disruption::KillWorker(Moment::Preparing),
        Disruption::KillWorker(Moment::Running),
        Disruption::KillRuntime(Moment::Running, downtime()),
        Disruption::KillRuntime(Moment::Before(PUT_FILE), downtime()),
        Disruption::KillBoth(Moment::Running, downtime()),
    ];
    for call in [RECEIVE, UPDATE, PUT_FILE, PUT_OUT, PUBLISH, DELETE] {
        kinds.extend([Moment::Before(call), Moment::After(call)].map(Disruption::KillWorker));
    }
    kinds
}

/// Every call with every fault.
fn broken_calls(random: &mut Random, hidden: Duration) -> Vec<Disruption> {
    let delays = [Duration::from_millis(300), Duration::from_secs(3), hidden + Duration::from_secs(2)];
    let mut kinds = Vec::new();
    for call in CALLS {
        let (before, after) = (*random.choose(&delays), *random.choose(&delays));
        kinds.extend([
            Disruption::Break(call, Fault::DelayBefore(before), 1),
            Disruption::Break(call, Fault::DelayAfter(after), 1),
        ]);
        for fault in [Fault::FailBefore, Fault::FailAfter, Fault::DropBefore, Fault::DropAfter] {
            kinds.push(Disruption::Break(call, fault, *random.choose(&[1, PAST_SDK_RETRIES])));
        }
    }
    kinds.push(Disruption::Break(PUT_OUT, Fault::Conflict, 1));
    kinds
}

/// The error of a process at each run once a kernel has failed.
fn cuda_error() -> RuntimeFault {
    RuntimeFault::Broken { kind: "RuntimeError".into(), message: format!("CUDA error: {BROKEN}") }
}

/// The same with an error that is on no list.
fn unlisted_error() -> RuntimeFault {
    RuntimeFault::Broken { kind: "RuntimeError".into(), message: BROKEN.into() }
}

fn runtime_failures(_: &mut Random) -> Vec<Disruption> {
    let exception =
        RuntimeFault::Exception { node: None, kind: "RuntimeError".into(), message: "shapes differ".into() };
    let faults = [
        exception,
        RuntimeFault::OutOfMemory,
        RuntimeFault::PlainText { status: 502 },
        RuntimeFault::DropBeforeWork,
        RuntimeFault::DropAfterWork,
        RuntimeFault::DropWebSocket,
        RuntimeFault::Restart,
    ];
    faults.map(Disruption::FailRuntime).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(seed: u64) -> Vec<String> {
        let events = schedule(seed, 200, 20, Duration::from_secs(20));
        events.iter().map(|event| format!("{event:?}")).collect()
    }

    #[test]
    fn a_seed_repeats_its_schedule() {
        assert_eq!(described(7), described(7));
        assert_ne!(described(7), described(8));
    }

    #[test]
    fn a_short_run_has_every_kind_of_kill() {
        let events = schedule(1, 200, 20, Duration::from_secs(20));
        let kills = |event: &&Event| {
            matches!(
                event.disruption,
                Disruption::KillWorker(_) | Disruption::KillRuntime(..) | Disruption::KillBoth(..)
            )
        };
        let kinds: std::collections::HashSet<String> =
            events.iter().filter(kills).map(|event| event.disruption.kind()).collect();
        assert_eq!(kinds.len(), kills_of_each_kind(&mut Random::new(0)).len(), "{kinds:?}");
    }
}
