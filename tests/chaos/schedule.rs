//! What is going to be done to the system, and when: a pure function of the seed.

use std::fmt;
use std::time::Duration;

use local_stack::aws::{Fault, Service};
use simulated_runtimes::Fault as RuntimeFault;

use crate::cluster::{COMFYUI_PODS, PODS};
use crate::random::Random;

/// One thing done to one pod.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// How many tasks are submitted before it is due.
    pub(crate) after: usize,
    /// The pod that it is done to.
    pub(crate) pod: usize,
    /// What is done.
    pub(crate) harm: Harm,
}

/// What is done.
#[derive(Debug, Clone)]
pub(crate) enum Harm {
    /// `kill -9` of the worker.
    KillWorker(Moment),
    /// The runtime's process dies and comes back after a while.
    KillRuntime(Moment, Duration),
    /// Both containers die.
    KillBoth(Moment, Duration),
    /// SIGTERM to the worker, as when a pod is moved.
    Stop(Moment),
    /// The next run never ends, or never begins.
    Hang(RuntimeFault),
    /// The next run fails, and so does each after it until the runtime's process restarts, as after a sticky CUDA error.
    BreakGpu(RuntimeFault),
    /// The next run, or call of the runtime, goes wrong.
    Misbehave(RuntimeFault),
    /// Calls of AWS by the pod's worker go wrong.
    Break(AwsCall, Fault, usize),
    /// SQS delivers a message again that the pod's worker is working on.
    DeliverAgain,
    /// SNS delivers the next task twice.
    PublishTwice,
    /// A message that nobody can read, in the pod's queue.
    Poison(&'static str),
    /// A task whose workers are all killed while they have it, until SQS gives it up.
    Doom,
}

/// The moment at which something is done to a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// It has received a task whose input is on its way.
    Preparing,
    /// Its runtime works.
    Running,
    /// It has made this call, which has not taken effect yet, and never will.
    Before(AwsCall),
    /// The call took effect, and the worker is not told.
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

impl Harm {
    /// What kind of harm it is, in words that the report counts by.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::KillWorker(moment) => format!("kill -9 of the worker, {moment}"),
            Self::KillRuntime(moment, _) => format!("kill of the runtime, {moment}"),
            Self::KillBoth(moment, _) => format!("kill of both, {moment}"),
            Self::Stop(moment) => format!("SIGTERM to the worker, {moment}"),
            Self::Hang(_) => "hung runtime".to_owned(),
            Self::BreakGpu(fault) if *fault == cuda_error() => "broken GPU, by its words".to_owned(),
            Self::BreakGpu(_) => "broken GPU, without known words".to_owned(),
            Self::Misbehave(_) => "failing runtime".to_owned(),
            Self::Break(call, Fault::DelayBefore(_) | Fault::DelayAfter(_), _) => {
                format!("slow AWS call, {call:?}")
            }
            Self::Break(call, ..) => format!("broken AWS call, {call:?}"),
            Self::DeliverAgain => "second delivery by SQS".to_owned(),
            Self::PublishTwice => "second delivery by SNS".to_owned(),
            Self::Poison(_) => "poison".to_owned(),
            Self::Doom => "kill -9 of the worker on every receive".to_owned(),
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
const PUBLISH: AwsCall = call("publish", Service::Sns, "Publish", "");
const DELETE: AwsCall = call("delete", Service::Sqs, "DeleteMessage", "");

const CALLS: [AwsCall; 7] = [RECEIVE, EXTEND, GET_OUT, PUT_FILE, PUT_OUT, PUBLISH, DELETE];

const POISON: [&str; 4] =
    ["{nope", r#"{"Message": "{nope"}"#, r#"{"hello": 1}"#, r#"{"metadata": {"id": ""}, "content": {}}"#];

/// What the errors of broken runtimes say, and no others.
pub(crate) const BROKEN: &str = "the buffer holds other numbers than were written";

/// More calls than an AWS SDK makes by itself before it gives up.
const LASTING: usize = 4;

/// The schedule for a run of that many tasks with that many kills, and a fitting number of everything else. `hidden` is
/// how long a message stays hidden: some delays are longer.
pub(crate) fn schedule(seed: u64, tasks: usize, kills: usize, hidden: Duration) -> Vec<Event> {
    let random = &mut Random::new(seed);
    let mut harms = cycled(random, kills_of_each_kind, kills);
    harms.extend(cycled(random, |random| broken_calls(random, hidden), tasks.div_ceil(8)));
    harms.extend(cycled(random, misbehaviours, kills.div_ceil(2)));
    harms.extend(cycled(
        random,
        |_| vec![Harm::Hang(RuntimeFault::Hang), Harm::Hang(RuntimeFault::DeadWorker)],
        kills.div_ceil(10),
    ));
    harms.extend(cycled(
        random,
        |_| [cuda_error(), nameless_error()].map(Harm::BreakGpu).to_vec(),
        kills.div_ceil(10),
    ));
    harms.extend(cycled(
        random,
        |_| [Moment::Running, Moment::Preparing].map(Harm::Stop).to_vec(),
        kills.div_ceil(4),
    ));
    harms.extend(cycled(random, |_| vec![Harm::DeliverAgain, Harm::PublishTwice], kills.div_ceil(2)));
    harms.extend(cycled(random, |_| POISON.map(Harm::Poison).to_vec(), kills.div_ceil(5)));
    harms.extend(cycled(random, |_| vec![Harm::Doom], kills.div_ceil(20)));
    random.shuffle(&mut harms);

    let count = harms.len();
    let place = |(index, harm): (usize, Harm)| {
        let needs_comfyui = matches!(harm, Harm::Doom | Harm::Hang(RuntimeFault::DeadWorker));
        let pods = if needs_comfyui { COMFYUI_PODS } else { 0..PODS.len() };
        let pod = pods.start + random.below(pods.len());
        // The last tenth of the tasks flows undisturbed.
        Event { after: index * tasks * 9 / count / 10, pod, harm }
    };
    harms.into_iter().enumerate().map(place).collect()
}

/// The first `count` of all kinds in a random order, then of all kinds in another order, and so on.
fn cycled(random: &mut Random, kinds: impl Fn(&mut Random) -> Vec<Harm>, count: usize) -> Vec<Harm> {
    let mut harms = Vec::new();
    while harms.len() < count {
        let mut round = kinds(random);
        random.shuffle(&mut round);
        harms.extend(round);
    }
    harms.truncate(count);
    harms
}

fn kills_of_each_kind(random: &mut Random) -> Vec<Harm> {
    let mut downtime = || Duration::from_millis(100 + 200 * random.below(8) as u64);
    let mut kinds = vec![
        Harm::KillWorker(Moment::Preparing),
        Harm::KillWorker(Moment::Running),
        Harm::KillRuntime(Moment::Running, downtime()),
        Harm::KillRuntime(Moment::Before(PUT_FILE), downtime()),
        Harm::KillBoth(Moment::Running, downtime()),
    ];
    for call in [RECEIVE, PUT_FILE, PUT_OUT, PUBLISH, DELETE] {
        kinds.extend([Moment::Before(call), Moment::After(call)].map(Harm::KillWorker));
    }
    kinds
}

/// Every call with every fault.
fn broken_calls(random: &mut Random, hidden: Duration) -> Vec<Harm> {
    let delays = [Duration::from_millis(300), Duration::from_secs(3), hidden + Duration::from_secs(2)];
    let mut kinds = Vec::new();
    for call in CALLS {
        let (before, after) = (*random.choose(&delays), *random.choose(&delays));
        kinds.extend([
            Harm::Break(call, Fault::DelayBefore(before), 1),
            Harm::Break(call, Fault::DelayAfter(after), 1),
        ]);
        for fault in [Fault::FailBefore, Fault::FailAfter, Fault::DropBefore, Fault::DropAfter] {
            kinds.push(Harm::Break(call, fault, *random.choose(&[1, LASTING])));
        }
    }
    kinds.push(Harm::Break(PUT_OUT, Fault::Conflict, 1));
    kinds
}

/// What a process raises at each run once a kernel has failed.
fn cuda_error() -> RuntimeFault {
    RuntimeFault::Broken { kind: "RuntimeError".into(), message: format!("CUDA error: {BROKEN}") }
}

/// The same in words that are on no list.
fn nameless_error() -> RuntimeFault {
    RuntimeFault::Broken { kind: "RuntimeError".into(), message: BROKEN.into() }
}

fn misbehaviours(_: &mut Random) -> Vec<Harm> {
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
    faults.map(Harm::Misbehave).to_vec()
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
            matches!(event.harm, Harm::KillWorker(_) | Harm::KillRuntime(..) | Harm::KillBoth(..))
        };
        let kinds: std::collections::HashSet<String> =
            events.iter().filter(kills).map(|event| event.harm.kind()).collect();
        assert_eq!(kinds.len(), kills_of_each_kind(&mut Random::new(0)).len(), "{kinds:?}");
    }
}
