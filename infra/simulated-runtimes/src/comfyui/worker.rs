//! The worker thread: takes one job after the other from the queue.

use std::sync::{Arc, atomic::Ordering};

use super::{Comfy, cache::Cache, execution, messages, messages::Narrator};
use crate::faults::{Fault, Occasion};

/// Works until the simulation stops.
pub(super) async fn run(comfy: Arc<Comfy>) {
    let died = comfy.machine.died.clone();
    died.run_until_cancelled(work(&comfy)).await;
}

async fn work(comfy: &Arc<Comfy>) {
    let mut cache = Cache::default();
    loop {
        while !comfy.queue().has_work() {
            comfy.queued.notified().await;
        }
        let fault = comfy.machine.faults.strike(Occasion::Run);
        if fault == Some(Fault::DeadWorker) || comfy.queue().is_poisoned() {
            // The thread is gone; HTTP goes on as if nothing had happened.
            return std::future::pending().await;
        }
        let Some(job) = comfy.queue().begin().map(Arc::new) else { continue };
        if comfy.forget_cache.swap(false, Ordering::SeqCst) {
            cache.clear();
        }
        let gpu = comfy.machine.gpu.take(job.id.clone()).await;
        messages::status(comfy);
        let Some(ending) = execution::execute(comfy, &job, fault, &mut cache).await else {
            restart(comfy, &mut cache);
            continue;
        };
        drop(gpu);
        comfy.history().add(&job, &ending);
        comfy.queue().end();
        messages::status(comfy);
        Narrator::new(comfy, &job).farewell();
    }
}

/// All that is not on disk is gone.
fn restart(comfy: &Comfy, cache: &mut Cache) {
    cache.clear();
    comfy.machine.faults.restarted();
    *comfy.queue() = Default::default();
    comfy.history().clear();
    comfy.files().clear_temp();
    comfy.sockets().cut(None);
}
