//! What the programs of the stack read from the configuration of a deployment.

mod built_in;
mod variables;

pub use built_in::built_in;
pub(crate) use variables::runtime_types;
pub use variables::worker_variables;
