//! The types of runtimes that can be simulated.

use std::{net::SocketAddr, path::PathBuf};

use crate::{Behaviour, DEFAULT_MODEL, Error, Simulation, comfyui, openai_images, sdcpp, sdwebui};

/// All of them, one line each.
pub static REGISTRY: [SimulatedType; 4] = [sdwebui::TYPE, comfyui::TYPE, openai_images::TYPE, sdcpp::TYPE];

/// One type of runtime.
#[derive(Debug)]
pub struct SimulatedType {
    /// Its name, as in the worker's `RUNTIME_TYPE`.
    pub name: &'static str,
    /// Its interface.
    pub about: &'static str,
    /// Starts one; called inside a Tokio runtime.
    pub(crate) start: fn(SocketAddr, Setup) -> Result<Simulation, Error>,
}

/// The options that all types of simulations have.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Name of the runtime, printed on every generated picture.
    pub name: String,
    /// File names of the checkpoints on disk.
    pub models: Vec<String>,
    /// How long runs take, and how progress is reported.
    pub behaviour: Behaviour,
    /// The version of the interface, where there are several.
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
    /// Starts a simulation of the type of that name. Port 0 selects a free one.
    ///
    /// # Errors
    /// There is no such type or version, or the address cannot be bound.
    pub async fn of_type(name: &str, listen: SocketAddr, setup: Setup) -> Result<Self, Error> {
        let known = REGISTRY.iter().find(|known| known.name == name);
        let known = known.ok_or_else(|| Error::UnknownType(name.to_owned()))?;
        (known.start)(listen, setup)
    }
}
