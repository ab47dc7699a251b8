//! `darkroom`: submits tasks to a deployment or to the local stack, watches them and fetches their images.
//!
//! It uses the API `v1` with an API key. Only `dead-letters` speaks to AWS itself, with AWS credentials.

// In the order of use: what was typed, where it goes, the task's life, many tasks, what died.
mod error;
mod options;
mod output;
mod profile;
mod target;

mod api;

mod content;
mod submit;
mod upload;

mod progress;
mod wait;

mod fetch;
mod file_name;
mod list;
mod show;

mod cancel;
mod retry;
mod runtimes;

mod load;

mod dead_letters;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use api::Api;
use error::Error;
use options::{Command, Options};
use profile::Profile;
use target::Target;

/// One thread: the program waits for responses.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let result = tokio::select! {
        // First, so that a command that says how to go on after Ctrl-C does so.
        biased;
        result = run(&options) => result,
        Ok(()) = tokio::signal::ctrl_c() => Err(Error::Interrupted),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, options.json);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(options: &Options) -> Result<(), Error> {
    if let Command::Completions { shell } = options.command {
        clap_complete::generate(shell, &mut Options::command(), "darkroom", &mut std::io::stdout());
        return Ok(());
    }
    if let Command::DeadLetters(arguments) = &options.command {
        let profile = Profile::of(options)?;
        return dead_letters::run(&profile, arguments, options.json).await;
    }
    let target = Target::of(options)?;
    let api = Api::new(&target, options.retry_seconds)?;
    let json = options.json;
    match &options.command {
        Command::Submit(arguments) => submit::run(&api, &target, arguments, json).await,
        Command::Wait(arguments) => wait::run(&api, arguments, json).await,
        Command::Get { id } => show::run(&api, id, json).await,
        Command::List(arguments) => list::run(&api, arguments, json).await,
        Command::Fetch(arguments) => fetch::run(&api, arguments, json).await,
        Command::Cancel { id } => cancel::run(&api, id, json).await,
        Command::Retry(arguments) => retry::run(&api, arguments, json).await,
        Command::Runtimes => runtimes::run(&api, json).await,
        Command::Load(arguments) => load::run(&api, &target, arguments, json).await,
        Command::DeadLetters(_) | Command::Completions { .. } => Ok(()),
    }
}
