//! Starts one simulated runtime and serves until Ctrl-C.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use simulated_runtimes::{
    Behaviour, ComfyUiOptions, ComfyUiVersion, DEFAULT_MODEL, ProgressReports, SdWebUiOptions, Simulation,
};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(about = "A Stable Diffusion runtime without a GPU")]
struct Arguments {
    #[command(subcommand)]
    runtime: Runtime,
}

#[derive(Subcommand)]
enum Runtime {
    /// The API of SD WebUI (AUTOMATIC1111, Forge).
    Sdwebui(Options),
    /// The interface of ComfyUI.
    Comfyui {
        #[command(flatten)]
        options: Options,
        /// Whose interface to speak: 0.3, 0.25, 0.33 or 0.45.
        #[arg(long, default_value = "0.25")]
        comfyui_version: ComfyUiVersion,
        /// The folder in which its folders `input`, `output` and `temp` are; in memory if it is left out.
        #[arg(long)]
        folder: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Options {
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:7860")]
    listen: SocketAddr,
    /// Time that one run takes, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    latency_ms: u64,
    /// How progress is reported.
    #[arg(long, value_enum, default_value_t)]
    progress: ProgressReports,
    /// Checkpoint on disk; may be given several times.
    #[arg(long = "model", default_value = DEFAULT_MODEL)]
    models: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let simulation = match Arguments::parse().runtime {
        Runtime::Sdwebui(Options { listen, latency_ms, progress, models }) => {
            let options =
                SdWebUiOptions { models, behaviour: behaviour(latency_ms, progress), ..Default::default() };
            Simulation::start_sdwebui(listen, options).await?
        }
        Runtime::Comfyui { options, comfyui_version: version, folder } => {
            let Options { listen, latency_ms, progress, models } = options;
            let behaviour = behaviour(latency_ms, progress);
            let options = ComfyUiOptions { models, behaviour, version, folder, ..Default::default() };
            Simulation::start_comfyui(listen, options).await?
        }
    };
    tracing::info!(url = simulation.url(), "serving");
    tokio::signal::ctrl_c().await?;
    simulation.stop().await;
    Ok(())
}

fn behaviour(latency_ms: u64, progress: ProgressReports) -> Behaviour {
    Behaviour { latency: Duration::from_millis(latency_ms), progress, ..Default::default() }
}
