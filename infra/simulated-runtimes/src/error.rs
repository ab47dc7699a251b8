//! The error of starting a simulation.

use std::{io, net::SocketAddr};

/// Why a simulation cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No type of runtime has this name.
    #[error("there is no simulation of the type {0}")]
    UnknownType(String),
    /// The type does not have the version or the folder of the setup; the text is the reason.
    #[error("{0}")]
    Unsupported(String),
    /// The address cannot be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason.
        #[source]
        source: io::Error,
    },
}
