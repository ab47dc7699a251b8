//! The runtimes of the stack: simulations, or real servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use deployment_config::Runtime;
use simulated_runtimes::{Behaviour, Setup, Simulation};

/// A runtime of the stack.
pub struct Running {
    /// Its configuration.
    pub deployed: Runtime,
    /// The address of its API.
    pub url: String,
    /// The simulation; `None` for a real server.
    pub simulation: Option<Simulation>,
}

impl Running {
    /// A real server at `url`.
    pub(crate) fn attached(deployed: Runtime, url: String) -> Self {
        Self { deployed, url, simulation: None }
    }

    /// Starts a simulation whose runs take `latency` each.
    pub(crate) async fn simulated(deployed: Runtime, latency: Duration) -> anyhow::Result<Self> {
        let behaviour = Behaviour { latency, ..Behaviour::default() };
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut setup = Setup { name: deployed.name.clone(), behaviour, ..Setup::default() };
        let models = deployed.served_models();
        if !models.is_empty() {
            setup.models = models;
        }
        let simulation = Simulation::of_type(&deployed.runtime_type, free_port, setup).await?;
        Ok(Self { deployed, url: simulation.url(), simulation: Some(simulation) })
    }
}
