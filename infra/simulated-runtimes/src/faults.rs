//! Fault injection for runs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::samples::Sample;

/// A failure of a runtime. A fault of only one of the two runtimes has no effect in the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The run raises a Python exception. SD WebUI answers 500 in its dialect (SD.Next: 200 without images), ComfyUI fails
    /// the job with `execution_error`.
    Exception {
        /// ComfyUI: id or class of the node that raises; the first node that runs if absent or not reached.
        node: Option<String>,
        /// Class of the exception, such as `RuntimeError`.
        kind: String,
        /// Text of the exception.
        message: String,
    },
    /// From this run on every run raises this exception at once, until the process restarts: what follows a sticky CUDA error.
    /// All other calls are still answered.
    Broken {
        /// Class of the exception, such as `AcceleratorError`.
        kind: String,
        /// Text of the exception.
        message: String,
    },
    /// PyTorch's exception for a lack of GPU memory.
    OutOfMemory,
    /// A run (SD WebUI) or `POST /prompt` (ComfyUI) is answered with this status and a text that is not JSON, as by a proxy.
    PlainText {
        /// HTTP status of the answer, such as 500 or 502.
        status: u16,
    },
    /// A run (SD WebUI) or `POST /prompt` (ComfyUI) is answered with 200 and a text that is not JSON.
    NotJson,
    /// SD WebUI: a run is answered with 200 and no images, as SD.Next does when inference raised.
    NoImages,
    /// SD WebUI: the images in the answer are not base64.
    InvalidBase64,
    /// The run never finishes, not even when it is interrupted. It occupies the runtime until the simulation is stopped.
    Hang,
    /// The connection breaks before a run (SD WebUI) or a `POST /prompt` (ComfyUI) had any effect.
    DropBeforeWork,
    /// The connection breaks after the run (SD WebUI), or after the prompt was queued (ComfyUI), instead of an answer.
    DropAfterWork,
    /// The pictures of a run are files of this format, regardless of the settings and the file's name.
    OtherFormat(Sample),
    /// SD WebUI: the next model switch (options or override) reports success and leaves the model as it is.
    IgnoreModelSwitch,
    /// ComfyUI: the WebSocket of the job's client is dropped when its first node begins. The job continues.
    DropWebSocket,
    /// ComfyUI: the worker thread crashes when it dequeues the job: HTTP is still answered, the job stays pending.
    DeadWorker,
    /// ComfyUI: the process restarts in mid-run, after the first node began: queue, history, cache and sockets are lost.
    Restart,
    /// ComfyUI: `GET /view` answers 404.
    MissingFile,
}

/// When a fault takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A run is requested (SD WebUI) or a prompt is posted (ComfyUI).
    Request,
    /// ComfyUI's worker dequeues a prompt; SD WebUI's run acquires the runtime.
    Run,
    ModelSwitch,
    View,
}

impl Fault {
    fn occasion(&self) -> Occasion {
        match self {
            Self::PlainText { .. } | Self::NotJson | Self::DropBeforeWork | Self::DropAfterWork => {
                Occasion::Request
            }
            Self::IgnoreModelSwitch => Occasion::ModelSwitch,
            Self::MissingFile => Occasion::View,
            _ => Occasion::Run,
        }
    }
}

/// The faults that are planned for a simulation. May be changed while it runs.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<Vec<(Fault, u32)>>,
    broken_since: Mutex<Option<Instant>>,
}

impl Faults {
    /// Plans `fault` for the next `times` occasions of its kind. Faults for the same kind of occasion take effect in the order
    /// in which they were planned, one per occasion.
    pub fn plan(&self, fault: Fault, times: u32) {
        if times > 0 {
            self.lock().push((fault, times));
        }
    }

    /// Cancels all planned faults. Those in effect, such as a hanging run, stay.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// When the process broke ([`Fault::Broken`]), if it did.
    pub fn broken_since(&self) -> Option<Instant> {
        *self.broken_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Repairs a broken process: it has restarted.
    pub(crate) fn restarted(&self) {
        self.lock().retain(|(fault, _)| !matches!(fault, Fault::Broken { .. }));
        *self.broken_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn next(&self, occasion: Occasion) -> Option<Fault> {
        let mut planned = self.lock();
        let index = planned.iter().position(|(fault, _)| fault.occasion() == occasion)?;
        let (fault, times) = planned.get_mut(index)?;
        let fault = fault.clone();
        if matches!(fault, Fault::Broken { .. }) {
            let mut since = self.broken_since.lock().unwrap_or_else(PoisonError::into_inner);
            since.get_or_insert_with(Instant::now);
            return Some(fault);
        }
        *times -= 1;
        if *times == 0 {
            planned.remove(index);
        }
        Some(fault)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Fault, u32)>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_occurs_as_often_as_planned_and_only_on_its_occasion() {
        let faults = Faults::default();
        faults.plan(Fault::MissingFile, 1);
        faults.plan(Fault::OutOfMemory, 2);
        faults.plan(Fault::Hang, 1);

        let injected: Vec<_> = std::iter::from_fn(|| faults.next(Occasion::Run)).collect();

        assert_eq!(injected, [Fault::OutOfMemory, Fault::OutOfMemory, Fault::Hang]);
        assert_eq!(faults.next(Occasion::View), Some(Fault::MissingFile));
        assert_eq!(faults.next(Occasion::View), None);
    }

    #[test]
    fn a_broken_process_stays_broken_until_it_restarts() {
        let faults = Faults::default();
        let broken = Fault::Broken { kind: "RuntimeError".into(), message: "x".into() };
        faults.plan(broken.clone(), 1);
        assert_eq!(faults.broken_since(), None);
        assert_eq!([(); 3].map(|()| faults.next(Occasion::Run)), [(); 3].map(|()| Some(broken.clone())));
        assert!(faults.broken_since().is_some());
        faults.restarted();
        assert_eq!((faults.next(Occasion::Run), faults.broken_since()), (None, None));
    }

    #[test]
    fn clear_cancels_planned_faults() {
        let faults = Faults::default();
        faults.plan(Fault::Hang, 3);

        faults.clear();

        assert_eq!(faults.next(Occasion::Run), None);
    }
}
