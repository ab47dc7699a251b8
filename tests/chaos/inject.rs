//! Injects the disruption of one event of the schedule.

use std::time::{Duration, Instant};

use anyhow::Result;
use local_stack::aws::{CallRecord, Delivery, Fault, Order, Service, Subject};
use simulated_runtimes::Fault as RuntimeFault;

use crate::cluster::{Cluster, MAX_RECEIVES};
use crate::pod::{GRACE, Pod};
use crate::schedule::{AwsCall, Disruption, Event, Moment};
use crate::traffic::{Input, Traffic};

/// How long an event waits for its moment. Then it takes place anyway, or, if it is meaningless without, not at all.
const MOMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a call is delayed before or after which a worker is killed: longer than the kill takes.
const CALL_DELAY: Duration = Duration::from_secs(30);

/// A running task was received within the last so many calls.
const RECENT: usize = 500;

/// How long a hung or broken runtime may continue: until its worker has detected it, has found that an interrupt or another run does
/// not help, and fails the liveness probe.
const RESTART_TIMEOUT: Duration = Duration::from_secs(60);

/// Injects it, and returns whether it was at the intended moment.
pub(crate) async fn inject(cluster: &Cluster, traffic: &Traffic, event: &Event) -> Result<bool> {
    let pod = &*cluster.pods[event.pod];
    let disruption = Disruption::clone(&event.disruption);
    if let Disruption::KillEachReceiver = disruption {
        return kill_each_receiver(cluster, traffic, pod).await;
    }
    let _guard = pod.disruption.lock().await;
    let in_time = match disruption {
        Disruption::KillWorker(moment) => {
            let at = wait_for(cluster, pod, moment).await;
            pod.kill_worker().await;
            at.release(cluster)
        }
        Disruption::KillRuntime(moment, downtime) => {
            let at = wait_for(cluster, pod, moment).await;
            pod.restart_runtime(downtime).await?;
            at.release(cluster)
        }
        Disruption::KillBoth(moment, downtime) => {
            let at = wait_for(cluster, pod, moment).await;
            pod.kill_worker().await;
            pod.restart_runtime(downtime).await?;
            at.release(cluster)
        }
        Disruption::Stop(moment) => {
            let processes = pod.processes();
            let at = wait_for(cluster, pod, moment).await;
            pod.stop_worker().await;
            until(GRACE + MOMENT_TIMEOUT, || pod.processes() > processes).await && at.release(cluster)
        }
        Disruption::Hang(fault) | Disruption::BreakGpu(fault) => until_restarted(pod, fault).await,
        Disruption::FailRuntime(fault) => {
            pod.plan(fault);
            true
        }
        Disruption::Break(call, fault, times) => break_calls(cluster, traffic, pod, call, fault, times).await,
        Disruption::DeliverAgain => deliver_again(cluster, pod).await,
        Disruption::PublishTwice => {
            let order = Order::new(Service::Sns, "Publish", Fault::DeliverTwice).about("-tasks");
            inject_into_aws(cluster, order).await
        }
        Disruption::Poison(body) => {
            cluster.lab.send(&pod.queue_url, body).await;
            true
        }
        Disruption::KillEachReceiver => unreachable!("it affects other pods, too"),
    };
    Ok(in_time)
}

/// A moment that has been reached, or not.
struct At {
    in_time: bool,
    delay: Option<Order>,
}

impl At {
    /// Ends the delay of calls.
    fn release(self, cluster: &Cluster) -> bool {
        if let Some(order) = &self.delay {
            cluster.aws().faults().cancel(order);
        }
        self.in_time
    }
}

async fn wait_for(cluster: &Cluster, pod: &Pod, moment: Moment) -> At {
    let (call, fault) = match moment {
        Moment::Preparing => return At { in_time: preparing(cluster, pod).await, delay: None },
        Moment::Running => return At { in_time: running(pod).await, delay: None },
        Moment::Before(call) => (call, Fault::DelayBefore(CALL_DELAY)),
        Moment::After(call) => (call, Fault::DelayAfter(CALL_DELAY)),
    };
    let order = Order::new(call.service, call.action, fault).by(&pod.name).about(call.about);
    cluster.aws().faults().order(order.clone());
    let in_time = until(MOMENT_TIMEOUT, || cluster.aws().faults().left_of(&order) == 0).await;
    if matches!(moment, Moment::After(_)) {
        // The delay begins when the call has taken effect, which is very soon after its receipt.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    At { in_time, delay: Some(order) }
}

/// A run that begins now.
async fn running(pod: &Pod) -> bool {
    let now = Instant::now();
    until(MOMENT_TIMEOUT, || pod.running_since().is_some_and(|since| since > now)).await
}

/// A task with a slow input, received now.
async fn preparing(cluster: &Cluster, pod: &Pod) -> bool {
    let mut seen = cluster.aws().call_count();
    until(MOMENT_TIMEOUT, || {
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
    until(MOMENT_TIMEOUT + RESTART_TIMEOUT, || pod.runtime_restarts() > restarts).await
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
        // Only the leases of long tasks are extended; either pod may receive this one.
        "ChangeMessageVisibility" => {
            traffic.submit_one(cluster, &runtime.name, Input::Never).await;
            let queue = pod.queue_url.rsplit('/').next().unwrap_or_default();
            inject_into_aws(cluster, order.about(queue)).await
        }
        // Only redelivered tasks are looked up; either pod may receive it.
        "GetObject" => {
            let redelivered = deliver_again(cluster, pod).await;
            inject_into_aws(cluster, order.about(call.about)).await && redelivered
        }
        _ => inject_into_aws(cluster, order.by(&pod.name).about(call.about)).await,
    }
}

/// Injects the fault into the AWS APIs and waits until it has affected its calls.
async fn inject_into_aws(cluster: &Cluster, order: Order) -> bool {
    let faults = cluster.aws().faults();
    faults.order(order.clone());
    let in_time = until(MOMENT_TIMEOUT, || faults.left_of(&order) == 0).await;
    faults.cancel(&order);
    in_time
}

/// SQS delivers the message again that the pod's worker processes now.
async fn deliver_again(cluster: &Cluster, pod: &Pod) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < MOMENT_TIMEOUT && running(pod).await {
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

/// Submits a task whose input never arrives, and kills each worker that has received it, until SQS moves it to the dead-letter queue.
async fn kill_each_receiver(cluster: &Cluster, traffic: &Traffic, pod: &Pod) -> Result<bool> {
    let runtime = cluster.runtime_of(pod);
    let mut seen = cluster.aws().call_count();
    let id = traffic.submit_one(cluster, &runtime.name, Input::Never).await;
    let mut receives = 0;
    let begun = Instant::now();
    while receives < MAX_RECEIVES && begun.elapsed() < 6 * MOMENT_TIMEOUT {
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
    Ok(receives == MAX_RECEIVES)
}

/// Waits for a condition, for at most `timeout`.
async fn until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < timeout {
        if condition() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    false
}
