//! Carries out one event of the schedule.

use std::time::{Duration, Instant};

use anyhow::Result;
use local_stack::aws::{CallRecord, Delivery, Fault, Order, Service, Subject};
use simulated_runtimes::Fault as RuntimeFault;

use crate::cluster::{Cluster, FEW_RECEIVES};
use crate::pod::{GRACE, Pod};
use crate::schedule::{AwsCall, Event, Harm, Moment};
use crate::traffic::{Input, Traffic};

/// How long a moment is waited for. Then the event takes place anyway, or, if it makes no sense without, not at all.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a call is held up at whose sides a worker is killed: longer than the killing takes.
const HELD_UP: Duration = Duration::from_secs(30);

/// So many calls back, a running task was received.
const RECENT: usize = 500;

/// How long a hung or broken runtime may go on: until its worker has noticed, has seen that interrupting or another run does
/// not help, and reports it to the kubelet.
const HUNG: Duration = Duration::from_secs(60);

/// Does it, and says whether it was at the moment that was asked for.
pub(crate) async fn strike(cluster: &Cluster, traffic: &Traffic, event: &Event) -> Result<bool> {
    let pod = &*cluster.pods[event.pod];
    let harm = Harm::clone(&event.harm);
    if let Harm::Doom = harm {
        return doom(cluster, traffic, pod).await;
    }
    let _alone = pod.disturbed.lock().await;
    let in_time = match harm {
        Harm::KillWorker(moment) => {
            let at = wait_for(cluster, pod, moment).await;
            pod.kill_worker().await;
            at.over(cluster)
        }
        Harm::KillRuntime(moment, downtime) => {
            let at = wait_for(cluster, pod, moment).await;
            pod.restart_runtime(downtime).await?;
            at.over(cluster)
        }
        Harm::KillBoth(moment, downtime) => {
            let at = wait_for(cluster, pod, moment).await;
            pod.kill_worker().await;
            pod.restart_runtime(downtime).await?;
            at.over(cluster)
        }
        Harm::Stop(moment) => {
            let lives = pod.lives();
            let at = wait_for(cluster, pod, moment).await;
            pod.stop_worker().await;
            until(GRACE + PATIENCE, || pod.lives() > lives).await && at.over(cluster)
        }
        Harm::Hang(fault) | Harm::BreakGpu(fault) => until_restarted(pod, fault).await,
        Harm::Misbehave(fault) => {
            pod.plan(fault);
            true
        }
        Harm::Break(call, fault, times) => break_calls(cluster, traffic, pod, call, fault, times).await,
        Harm::DeliverAgain => deliver_again(cluster, pod).await,
        Harm::PublishTwice => {
            let order = Order::new(Service::Sns, "Publish", Fault::DeliverTwice).about("-tasks");
            struck(cluster, order).await
        }
        Harm::Poison(body) => {
            cluster.lab.send(&pod.queue_url, body).await;
            true
        }
        Harm::Doom => unreachable!("it disturbs other pods, too"),
    };
    Ok(in_time)
}

/// A moment that has come, or not.
struct At {
    in_time: bool,
    held_up: Option<Order>,
}

impl At {
    /// Holds nothing up any more.
    fn over(self, cluster: &Cluster) -> bool {
        if let Some(order) = &self.held_up {
            cluster.aws().faults().cancel(order);
        }
        self.in_time
    }
}

async fn wait_for(cluster: &Cluster, pod: &Pod, moment: Moment) -> At {
    let (call, fault) = match moment {
        Moment::Preparing => return At { in_time: preparing(cluster, pod).await, held_up: None },
        Moment::Running => return At { in_time: running(pod).await, held_up: None },
        Moment::Before(call) => (call, Fault::DelayBefore(HELD_UP)),
        Moment::After(call) => (call, Fault::DelayAfter(HELD_UP)),
    };
    let order = Order::new(call.service, call.action, fault).by(&pod.name).about(call.about);
    cluster.aws().faults().order(order.clone());
    let in_time = until(PATIENCE, || cluster.aws().faults().left_of(&order) == 0).await;
    if matches!(moment, Moment::After(_)) {
        // It is held up from the moment at which it took effect, which is very soon after it came in.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    At { in_time, held_up: Some(order) }
}

/// A run that begins now.
async fn running(pod: &Pod) -> bool {
    let now = Instant::now();
    until(PATIENCE, || pod.running_since().is_some_and(|since| since > now)).await
}

/// A task whose input takes a moment, received now.
async fn preparing(cluster: &Cluster, pod: &Pod) -> bool {
    let mut seen = cluster.aws().call_count();
    until(PATIENCE, || {
        let calls = cluster.aws().calls_after(seen);
        seen += calls.len();
        received(&calls, &pod.name).any(|delivery| mentions(delivery, "/slow/"))
    })
    .await
}

/// The deliveries to a pod.
fn received<'a>(calls: &'a [CallRecord], pod: &'a str) -> impl Iterator<Item = &'a Delivery> {
    let receives = calls.iter().filter(move |call| call.action == "ReceiveMessage" && call.caller == pod);
    receives.flat_map(|call| match &call.subject {
        Subject::Queue { deliveries, .. } => deliveries.as_slice(),
        _ => &[],
    })
}

fn mentions(delivery: &Delivery, text: &str) -> bool {
    delivery.body.as_ref().is_some_and(|body| body.contains(text))
}

/// The next run hangs, or breaks the runtime, until the runtime's liveness probe fails and the kubelet restarts it.
async fn until_restarted(pod: &Pod, fault: RuntimeFault) -> bool {
    let restarts = pod.runtime_restarts();
    pod.plan(fault);
    until(PATIENCE + HUNG, || pod.runtime_restarts() > restarts).await
}

async fn break_calls(
    cluster: &Cluster,
    traffic: &Traffic,
    pod: &Pod,
    call: AwsCall,
    fault: Fault,
    times: usize,
) -> bool {
    let runtime = cluster.runtime_of(pod);
    let order = Order::new(call.service, call.action, fault).times(times);
    match call.action {
        // Only tasks that take long are extended; either pod may get this one.
        "ChangeMessageVisibility" => {
            traffic.submit_one(cluster, &runtime.name, Input::Never).await;
            let queue = pod.queue_url.rsplit('/').next().unwrap_or_default();
            struck(cluster, order.about(queue)).await
        }
        // Only what comes again is looked up; either pod may get it.
        "GetObject" => {
            let comes_again = deliver_again(cluster, pod).await;
            struck(cluster, order.about(call.about)).await && comes_again
        }
        _ => struck(cluster, order.by(&pod.name).about(call.about)).await,
    }
}

/// Takes the order to the AWS APIs and waits until it has struck.
async fn struck(cluster: &Cluster, order: Order) -> bool {
    let faults = cluster.aws().faults();
    faults.order(order.clone());
    let struck = until(PATIENCE, || faults.left_of(&order) == 0).await;
    faults.cancel(&order);
    struck
}

/// What the pod runs now comes again.
async fn deliver_again(cluster: &Cluster, pod: &Pod) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && running(pod).await {
        let calls = cluster.aws().calls_after(cluster.aws().call_count().saturating_sub(RECENT));
        let last = received(&calls, &pod.name).last();
        let again =
            last.map_or(0, |last| cluster.aws().deliver_again(&pod.queue_url, Some(&last.message_id)));
        if again > 0 {
            return true;
        }
    }
    false
}

/// Submits a task whose input never comes, and kills whoever has received it, until SQS gives it up.
async fn doom(cluster: &Cluster, traffic: &Traffic, pod: &Pod) -> Result<bool> {
    let runtime = cluster.runtime_of(pod);
    let mut seen = cluster.aws().call_count();
    let id = traffic.submit_one(cluster, &runtime.name, Input::Never).await;
    let mut receives = 0;
    let begun = Instant::now();
    while receives < FEW_RECEIVES && begun.elapsed() < 6 * PATIENCE {
        let calls = cluster.aws().calls_after(seen);
        seen += calls.len();
        for pod in &cluster.pods {
            if received(&calls, &pod.name).any(|delivery| mentions(delivery, &format!("{id}\\\""))) {
                receives += 1;
                pod.kill_worker().await;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(receives == FEW_RECEIVES)
}

/// Waits for a condition, at most so long.
async fn until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if condition() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    false
}
