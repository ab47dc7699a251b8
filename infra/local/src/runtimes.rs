//! The runtimes of the stack: simulated here, or real ones that somebody runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use simulated_runtimes::{Behaviour, ComfyUiOptions, SdWebUiOptions, Simulation};

use crate::config::Runtime;

/// A runtime of the stack.
pub struct Running {
    /// What is deployed.
    pub deployed: Runtime,
    /// Where it listens.
    pub url: String,
    /// What does the work, unless somebody else runs it.
    pub simulation: Option<Simulation>,
}

impl Running {
    /// A server that somebody runs at `url`.
    pub(crate) fn attached(deployed: Runtime, url: String) -> Self {
        Self { deployed, url, simulation: None }
    }

    /// Starts a simulation, of which each run takes `latency`.
    pub(crate) async fn simulated(deployed: Runtime, latency: Duration) -> anyhow::Result<Self> {
        let behaviour = Behaviour { latency, ..Behaviour::default() };
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let name = deployed.name.clone();
        let simulation = match deployed.runtime_type.as_str() {
            "sdwebui" => {
                let models = deployed.served_models();
                let options = SdWebUiOptions { name, models, behaviour, ..SdWebUiOptions::default() };
                Simulation::start_sdwebui(free_port, options).await?
            }
            "comfyui" => {
                let options = ComfyUiOptions { name, behaviour, ..ComfyUiOptions::default() };
                Simulation::start_comfyui(free_port, options).await?
            }
            other => anyhow::bail!("there is no simulation of the type {other}"),
        };
        Ok(Self { deployed, url: simulation.url(), simulation: Some(simulation) })
    }
}
