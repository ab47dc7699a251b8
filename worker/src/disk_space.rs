//! Deletes files of runs in the runtime's scratch folder, and stops receiving while it is nearly full.
//!
//! The folder of a pod is an `emptyDir` with a limit: the kubelet evicts the pod that writes more, and every task in it with it.

use std::time::Duration;

use crate::runtimes::RunHandle;
use crate::scratch::Scratch;
use crate::worker::Worker;

/// How often the space is measured while there is too little.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

impl Worker {
    /// Deletes the files of a run that is over, and stored or given up.
    pub(crate) async fn delete_files_of(&self, run: &RunHandle) {
        if let Some(scratch) = &self.scratch {
            scratch.delete(self.runtime.run_folders(run)).await;
            if !self.has_room(scratch).await {
                self.set_runtime_ready(false);
            }
        }
    }

    /// Deletes the files of runs that no claim names, and all other files of runs if space is low. Returns once there is enough,
    /// and whether that took time. Nothing runs meanwhile.
    pub(crate) async fn make_room(&self) -> bool {
        let Some(scratch) = &self.scratch else { return false };
        let kept = self.claims.runs().iter().flat_map(|run| self.runtime.run_folders(run)).collect();
        scratch.delete_all_but(kept).await;
        if self.has_room(scratch).await {
            return false;
        }
        let mut is_reported = false;
        loop {
            if scratch.delete_disposable().await > 0 {
                // The runtime's cache would name them again.
                self.runtime.free_memory().await;
            }
            if self.has_room(scratch).await {
                tracing::info!("the scratch folder has space again");
                return true;
            }
            if !is_reported {
                tracing::error!(
                    "the scratch folder stays full although the files of all runs are deleted: raise its limit, or find out \
                     what else is written there"
                );
                is_reported = true;
            }
            tokio::time::sleep(MEASURE_INTERVAL).await;
        }
    }

    /// Measures the space and reports it. What cannot be measured counts as enough.
    async fn has_room(&self, scratch: &Scratch) -> bool {
        let space = match scratch.space().await {
            Ok(space) => space,
            Err(error) => {
                tracing::warn!(%error, "measuring the free space of the scratch folder failed");
                return true;
            }
        };
        let is_low = space.is_low();
        if is_low && self.health.has_space() {
            let (free, reserved) = (space.free, space.reserved);
            tracing::warn!(free, reserved, "the scratch folder is nearly full, no tasks are received");
        }
        self.health.metrics().scratch_free(space.free);
        self.health.set_has_space(!is_low);
        !is_low
    }
}
