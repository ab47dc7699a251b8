#![doc = include_str!("../README.md")]

// In the order in which a file passes them.
mod yaml;

mod defaults;
mod schema;

mod config;

mod chart_values;
mod rules;

mod registry;
pub mod sample;

pub mod generate;
mod runtime_types;

pub use config::{
    Api, Checked, Cluster, Config, ConfigError, Deadlines, ImageCache, Inputs, Install, Limits, Nodes,
    Replicas, Results, Runtime, Scaling, Schedule, Subscriptions,
};
pub use registry::registry;
