//! Starts one simulated runtime and serves until Ctrl-C.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use clap::builder::PossibleValuesParser;
use simulated_runtimes::{Behaviour, DEFAULT_MODEL, ProgressReports, REGISTRY, Setup, Simulation};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(about = "A Stable Diffusion runtime without a GPU", after_help = types())]
struct Arguments {
    /// The type of runtime.
    #[arg(value_parser = PossibleValuesParser::new(REGISTRY.iter().map(|known| known.name)))]
    runtime: String,
    /// Address to listen on; port 0 selects a free one.
    #[arg(long, default_value = "127.0.0.1:7860")]
    listen: SocketAddr,
    /// The duration of a run, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    latency_ms: u64,
    /// How progress is reported.
    #[arg(long, value_enum, default_value_t)]
    progress: ProgressReports,
    /// Checkpoint on disk; may be given several times.
    #[arg(long = "model", default_value = DEFAULT_MODEL)]
    models: Vec<String>,
    /// The version of the interface, where the type has several.
    #[arg(long)]
    version: Option<String>,
    /// The folder for the runtime's files; in memory if absent.
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn types() -> String {
    let lines = REGISTRY.iter().map(|known| format!("  {:<14} {}", known.name, known.about));
    format!("Types of runtimes:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let Arguments { runtime, listen, latency_ms, progress, models, version, folder } = Arguments::parse();
    let latency = Duration::from_millis(latency_ms);
    let behaviour = Behaviour { latency, progress, ..Default::default() };
    let setup = Setup { name: runtime.clone(), models, behaviour, version, folder };
    let simulation = Simulation::of_type(&runtime, listen, setup).await?;
    tracing::info!(url = simulation.url(), "serving");
    tokio::signal::ctrl_c().await?;
    simulation.stop().await;
    Ok(())
}
