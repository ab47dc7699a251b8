//! The state that both simulations share.

use std::sync::Arc;

use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use crate::{
    behaviour::{Behaviour, StepTimer},
    call_faults::CallFaults,
    faults::Faults,
    job_slot::JobSlot,
    picture::Artist,
    requests::RequestLog,
};

/// The state of a simulation that does not depend on which runtime it simulates.
pub(crate) struct Machine {
    /// Printed on every picture.
    pub(crate) name: String,
    pub(crate) behaviour: Behaviour,
    pub(crate) faults: Faults,
    pub(crate) call_faults: CallFaults,
    pub(crate) gpu: JobSlot,
    pub(crate) requests: RequestLog,
    pub(crate) artist: Artist,
    /// Locked for writing while runs are paused between two steps.
    pub(crate) held: Arc<RwLock<()>>,
    /// Cancelled when the simulation stops: connections are cut, jobs are abandoned.
    pub(crate) stopped: CancellationToken,
}

impl Machine {
    pub(crate) fn new(name: String, behaviour: Behaviour) -> Self {
        Self {
            name,
            artist: Artist::new(behaviour.predrawn),
            behaviour,
            faults: Faults::default(),
            call_faults: CallFaults::default(),
            gpu: JobSlot::default(),
            requests: RequestLog::default(),
            held: Arc::default(),
            stopped: CancellationToken::new(),
        }
    }

    /// The timer of a run that starts now; `weight` is the sum of the weights of its steps.
    pub(crate) fn step_timer(&self, weight: f64) -> StepTimer {
        StepTimer::new(&self.behaviour, weight, Arc::clone(&self.held))
    }
}
