#![doc = include_str!("../README.md")]

mod behaviour;
mod call_faults;
mod comfyui;
mod connection;
mod error;
mod faults;
mod job_slot;
mod machine;
mod openai_images;
mod picture;
mod python;
mod registry;
mod requests;
mod samples;
mod sdcpp;
mod sdwebui;
mod server;

pub use behaviour::{Behaviour, ProgressReports};
pub use call_faults::{CallFault, CallFaults, Order};
pub use comfyui::{ComfyUiOptions, ComfyUiVersion};
pub use error::Error;
pub use faults::{Fault, Faults};
pub use job_slot::BusyInterval;
pub use openai_images::{ImageServer, OpenAiImagesOptions};
pub use registry::{REGISTRY, Setup, SimulatedType};
pub use requests::RecordedRequest;
pub use samples::Sample;
pub use sdcpp::SdCppOptions;
pub use sdwebui::{Dialect, SdWebUiOptions};
pub use server::{Hold, Simulation};

/// The checkpoint that both simulations offer by default, as SD WebUI downloads it by default.
pub const DEFAULT_MODEL: &str = "v1-5-pruned-emaonly.safetensors";
