//! The runtimes of the stack: simulated here, or real ones that somebody runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use simulated_runtimes::{Behaviour, ComfyUiOptions, DEFAULT_MODEL, SdWebUiOptions, Simulation};

/// One runtime of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSpec {
    /// Its name, which is also its queue's.
    pub name: String,
    /// Its type, as the worker's `RUNTIME_TYPE` names it.
    pub runtime_type: String,
    /// What does the work.
    pub attached: Attached,
}

/// What does a runtime's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// A simulation in this process.
    Simulated {
        /// How long a run takes, in milliseconds.
        latency_ms: u64,
    },
    /// A server that somebody runs.
    Real {
        /// Where it listens.
        url: String,
    },
}

impl RuntimeSpec {
    /// One simulation of each type, under the names that the documents use.
    pub fn simulated_defaults(latency_ms: u64) -> Vec<Self> {
        let simulated = |name: &str, runtime_type: &str| Self {
            name: name.to_owned(),
            runtime_type: runtime_type.to_owned(),
            attached: Attached::Simulated { latency_ms },
        };
        vec![simulated("sdruntime", "sdwebui"), simulated("comfyui", "comfyui")]
    }

    /// The checkpoints that tasks without a runtime's name are routed by; unknown for a real runtime.
    pub fn models(&self) -> Vec<String> {
        match (&self.attached, self.runtime_type.as_str()) {
            (Attached::Simulated { .. }, "sdwebui") => vec![DEFAULT_MODEL.to_owned()],
            _ => Vec::new(),
        }
    }

    /// Starts the simulation, if it is one. Returns where the runtime listens, and the simulation to keep.
    pub async fn start(&self) -> anyhow::Result<(String, Option<Simulation>)> {
        let latency_ms = match &self.attached {
            Attached::Real { url } => return Ok((url.clone(), None)),
            Attached::Simulated { latency_ms } => *latency_ms,
        };
        let behaviour = Behaviour { latency: Duration::from_millis(latency_ms), ..Behaviour::default() };
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (name, models) = (self.name.clone(), vec![DEFAULT_MODEL.to_owned()]);
        let simulation = match self.runtime_type.as_str() {
            "sdwebui" => {
                let options = SdWebUiOptions { name, models, behaviour, ..SdWebUiOptions::default() };
                Simulation::start_sdwebui(free_port, options).await?
            }
            "comfyui" => {
                let options = ComfyUiOptions { name, models, behaviour };
                Simulation::start_comfyui(free_port, options).await?
            }
            other => anyhow::bail!("there is no simulation of the type {other}"),
        };
        Ok((simulation.url(), Some(simulation)))
    }
}
