//! The types of runtimes that can be simulated.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;

use crate::{Behaviour, DEFAULT_MODEL, Simulation, comfyui, sdwebui};

/// All of them, one line each.
pub static REGISTRY: [SimulatedType; 2] = [sdwebui::TYPE, comfyui::TYPE];

/// One type of runtime.
#[derive(Debug)]
pub struct SimulatedType {
    /// Its name, as the worker's `RUNTIME_TYPE` has it.
    pub name: &'static str,
    /// Which interface it has.
    pub about: &'static str,
    /// Starts one; called inside a Tokio runtime.
    pub(crate) start: fn(SocketAddr, Setup) -> anyhow::Result<Simulation>,
}

/// What simulations of every type can be given.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Name of the runtime, printed on every generated picture.
    pub name: String,
    /// File names of the checkpoints on disk.
    pub models: Vec<String>,
    /// How long runs take, and how progress is reported.
    pub behaviour: Behaviour,
    /// Whose interface it has, where there are several.
    pub version: Option<String>,
    /// The folder for its files; in memory if absent.
    pub folder: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            name: "simulation".to_owned(),
            models: vec![DEFAULT_MODEL.to_owned()],
            behaviour: Behaviour::default(),
            version: None,
            folder: None,
        }
    }
}

impl Simulation {
    /// Starts a simulation of the type of that name. Port 0 picks a free one.
    ///
    /// # Errors
    /// There is no such type or version, or the address cannot be bound.
    pub async fn of_type(name: &str, listen: SocketAddr, setup: Setup) -> anyhow::Result<Self> {
        let known = REGISTRY.iter().find(|known| known.name == name);
        let known = known.with_context(|| format!("there is no simulation of the type {name}"))?;
        (known.start)(listen, setup)
    }
}
