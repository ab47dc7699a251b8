//! The command line: the options of all commands, and the commands.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::dead_letters::DeadLettersArguments;
use crate::fetch::FetchArguments;
use crate::list::ListArguments;
use crate::load::LoadArguments;
use crate::retry::RetryArguments;
use crate::submit::SubmitArguments;
use crate::wait::WaitArguments;

/// Submits image generation tasks to Darkroom, watches them, and fetches the images.
#[derive(Debug, Parser)]
#[command(name = "darkroom", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Options {
    /// The front door; the local stack unless a profile says otherwise.
    #[arg(long, global = true, env = "DARKROOM_ENDPOINT", value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The API key. Other users of the machine can read options: prefer the variable or a profile.
    #[arg(long, global = true, env = "DARKROOM_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
    /// The profile of the profile file; its `default` if absent.
    #[arg(long, global = true, env = "DARKROOM_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The profile file; `~/.config/darkroom/config.toml` if absent.
    #[arg(long, global = true, env = "DARKROOM_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How long a request is repeated after timeouts, connection errors and responses that allow it, in seconds.
    #[arg(long, global = true, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) retry_seconds: u32,
    /// Print JSON; errors are JSON on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submit a task, and print its id.
    Submit(SubmitArguments),
    /// Wait until a task has finished. Ctrl-C stops only the wait.
    Wait(WaitArguments),
    /// Show a task, with URLs of its files.
    Get {
        /// The id of the task.
        id: String,
    },
    /// List your tasks, newest first.
    List(ListArguments),
    /// Save the files of a succeeded task.
    Fetch(FetchArguments),
    /// Cancel a task.
    Cancel {
        /// The id of the task.
        id: String,
    },
    /// Submit a failed or expired task again, and print the id of the new task.
    Retry(RetryArguments),
    /// List the runtimes and the task types that they accept.
    Runtimes,
    /// Submit many tasks, and measure each stage of their way.
    Load(LoadArguments),
    /// List messages of dead-letter queues, or send them back; needs AWS credentials instead of an API key.
    DeadLetters(DeadLettersArguments),
    /// Print a script that completes commands in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// The value of an option. An empty variable counts as unset.
pub(crate) fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_readme_lists_the_variables() {
        let program = Options::command();
        let commands = program.get_subcommands().chain([&program]);
        let arguments = commands.flat_map(|command| command.get_arguments());
        let read: BTreeSet<&str> = arguments.filter_map(|argument| argument.get_env()?.to_str()).collect();
        let readme = include_str!("../README.md");
        let rows = readme.lines().filter_map(|line| line.strip_prefix("| `DARKROOM_")?.split_once('`'));
        let listed: BTreeSet<String> = rows.map(|(name, _)| format!("DARKROOM_{name}")).collect();
        assert_eq!(listed, read.into_iter().map(str::to_owned).collect());
    }
}
