//! Checks the configuration of a deployment, for programs that are not written in Rust. JSON on standard output.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use deployment_config::{Checked, generate, registry, sample};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(name = "darkroom-config", version, about = "Checks the configuration of a deployment")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints the configuration with all defaults: {"config": ...}. What is wrong is printed as {"faults": [...]}, with
    /// exit code 1, as by every command.
    Check {
        /// A YAML file; `-` is the standard input.
        file: PathBuf,
    },
    /// Prints what the API checks tasks against: {"registry": [...]}.
    Registry {
        /// A YAML file; `-` is the standard input.
        file: PathBuf,
    },
    /// Prints the body of a POST /v1alpha2 with a small task that a runtime accepts.
    Sample {
        /// A YAML file.
        file: PathBuf,
        /// The runtime's name.
        runtime: String,
        /// The task's id.
        id: String,
        /// The prefix of its results.
        #[arg(long, default_value = "output")]
        prefix: String,
        /// What to draw.
        #[arg(long)]
        prompt: Option<String>,
        /// The checkpoint, where a task names one.
        #[arg(long)]
        model: Option<String>,
    },
    /// Writes the files that follow from the types of runtimes, below the current directory.
    Generate {
        /// Only compare them with the expected content.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => {
            print(&json!({ "faults": faults }));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Vec<String>> {
    match command {
        Command::Check { file } => {
            let Checked { json, .. } = Checked::load(&file).map_err(|error| error.faults)?;
            print(&json!({ "config": json }));
        }
        Command::Registry { file } => {
            let Checked { config, .. } = Checked::load(&file).map_err(|error| error.faults)?;
            print(&json!({ "registry": registry(&config.runtimes) }));
        }
        Command::Sample { file, runtime, id, prefix, prompt, model } => {
            let Checked { config, .. } = Checked::load(&file).map_err(|error| error.faults)?;
            let options = sample::SampleOptions { id, prefix, prompt, model };
            let sample = sample::sample(&registry(&config.runtimes), &runtime, &options);
            print(&sample.map_err(|error| vec![error.to_string()])?.body);
        }
        Command::Generate { check } => {
            let here = Path::new(".");
            let files = generate::files().map_err(|fault| vec![fault])?;
            let stale: Vec<_> = files.iter().filter(|file| !file.is_current(here)).collect();
            if check && !stale.is_empty() {
                let named = |file: &&generate::Generated| format!("{}: run `generate`", file.path.display());
                return Err(stale.iter().map(named).collect());
            }
            for file in stale {
                file.write(here).map_err(|error| vec![format!("{}: {error}", file.path.display())])?;
            }
        }
    }
    Ok(())
}

fn print(json: &Value) {
    // Fails only if the reader has closed the pipe.
    let _ = writeln!(std::io::stdout(), "{json}");
}
