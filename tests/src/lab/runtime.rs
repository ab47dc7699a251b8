//! A runtime of the lab and its queue.

use std::net::SocketAddr;

use local_stack::provision::RuntimeQueue;
use simulated_runtimes::{Setup, Simulation};

use crate::wait;

/// A runtime of the lab.
pub struct Runtime {
    /// Its name, as in the front door's registry.
    pub name: String,
    /// Its type.
    pub runtime_type: &'static str,
    /// Where it listens.
    pub url: String,
    /// Its queue and dead-letter queue.
    pub queue: RuntimeQueue,
    /// The simulation, if it is one.
    pub simulation: Option<Simulation>,
    /// Whether the front door sends its worker claim checks for tasks that are too large for a message.
    pub claim_check: bool,
}

impl Runtime {
    /// Stops the simulation, as a crash of its process does.
    pub fn stop(&mut self) {
        drop(self.simulation.take());
    }

    /// Starts it again as a pod restarts a container: at the same address, without jobs or faults.
    pub async fn start_again(&mut self) {
        let address: SocketAddr =
            self.url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let started = wait::until("the port to be free again", async || {
            Simulation::of_type(self.runtime_type, address, Setup::default()).await.ok()
        });
        self.simulation = Some(started.await);
    }

    /// Stops it and starts it again.
    pub async fn restart(&mut self) {
        self.stop();
        self.start_again().await;
    }
}
