//! The worker thread: runs the jobs of the queue one after the other.

use std::sync::{Arc, atomic::Ordering};

use super::{Comfy, cache::Cache, execution, messages, messages::EventSender};
use crate::faults::{Fault, Occasion};

/// Runs jobs until the simulation stops.
pub(super) async fn run(comfy: Arc<Comfy>) {
    let stopped = comfy.machine.stopped.clone();
    stopped.run_until_cancelled(work(&comfy)).await;
}

async fn work(comfy: &Arc<Comfy>) {
    let mut cache = Cache::default();
    loop {
        while !comfy.queue().has_work() {
            comfy.queued.notified().await;
        }
        let fault = comfy.machine.faults.next(Occasion::Run);
        if fault == Some(Fault::DeadWorker) || comfy.queue().is_poisoned() {
            // The thread has crashed; HTTP is not affected.
            return std::future::pending().await;
        }
        let Some(job) = comfy.queue().begin().map(Arc::new) else { continue };
        if comfy.clear_cache.swap(false, Ordering::SeqCst) {
            cache.clear();
        }
        let gpu = comfy.machine.gpu.acquire(job.id.clone()).await;
        messages::status(comfy);
        let Some(outcome) = execution::execute(comfy, &job, fault, &mut cache).await else {
            restart(comfy, &mut cache);
            continue;
        };
        drop(gpu);
        comfy.history().add(&job, &outcome);
        comfy.queue().finish();
        messages::status(comfy);
        EventSender::new(comfy, &job).farewell();
    }
}

/// Discards all state that is not on disk.
fn restart(comfy: &Comfy, cache: &mut Cache) {
    cache.clear();
    comfy.machine.faults.restarted();
    *comfy.queue() = Default::default();
    comfy.history().clear();
    comfy.files().clear_temp();
    comfy.sockets().cut(None);
}
