//! `darkroom dead-letters`: messages that died in a queue and that the dead-letter function has not processed, with their causes,
//! and their way back.
//!
//! The function gives such a task its result, as a failed task. A message is here only while the function does not run, fails, or
//! is switched off. The command speaks to SQS, and to S3 for the causes, with the AWS credentials of its environment.

mod aws;
mod cause;
mod letter;
mod queues;
mod redrive;

use clap::{Args, Subcommand};
use serde_json::json;

use aws::Clients;
use letter::Letter;
use queues::{Held, Queues};

use crate::error::Error as CommandError;
use crate::output;
use crate::profile::Profile;

pub(crate) use aws::Error;

#[derive(Debug, Args)]
pub(crate) struct DeadLettersArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them with their causes. Each is received and released again, which SQS counts.
    List(Filter),
    /// Send them to the queues that they died in, as new messages.
    Redrive {
        #[command(flatten)]
        filter: Filter,
        /// All of them; otherwise give at least one of --runtime, --code and --id.
        #[arg(long)]
        all: bool,
    },
}

/// Which messages.
#[derive(Debug, Args)]
struct Filter {
    /// The name of the deployment, which its queues begin with; that of the profile, or `darkroom`.
    #[arg(long, value_name = "NAME")]
    deployment: Option<String>,
    /// The bucket for results, where workers record causes; that of the profile. Without it some causes are unknown.
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Only tasks of this runtime.
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
    /// Only messages with this code of a cause.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Only tasks with this id: the caller's, or that of `v1`.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The most messages to look at.
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER")]
    limit: usize,
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.runtime.is_none() && self.code.is_none() && self.id.is_none()
    }

    fn matches(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, values: &[Option<&String>]| {
            wanted.as_ref().is_none_or(|wanted| values.contains(&Some(wanted)))
        };
        is(&self.runtime, &[letter.runtime.as_ref()])
            && is(&self.code, &[Some(&letter.code)])
            && is(&self.id, &[letter.id.as_ref(), letter.submission.as_ref()])
    }
}

pub(crate) async fn run(
    profile: &Profile,
    arguments: &DeadLettersArguments,
    json: bool,
) -> Result<(), CommandError> {
    let (filter, redrive) = match &arguments.action {
        Action::List(filter) => (filter, false),
        Action::Redrive { filter, all } if *all || !filter.is_empty() => (filter, true),
        Action::Redrive { .. } => {
            return Err(CommandError::Usage("say which: --runtime, --code, --id or --all".to_owned()));
        }
    };
    let clients = Clients::from_env().await;
    let deployment = filter.deployment.as_ref().or(profile.deployment.as_ref());
    let bucket = filter.bucket.as_ref().or(profile.bucket.as_ref());
    let queues = Queues::of(&clients, deployment.map_or("darkroom", String::as_str)).await?;
    let held = queues.receive(&clients, filter.limit).await?;
    let mut matching = Vec::new();
    for one in held {
        let letter = Letter::of(&clients, &queues, bucket.map(String::as_str), &one).await?;
        if filter.matches(&letter) {
            matching.push((one, letter));
        } else {
            queues::release(&clients, &one).await?;
        }
    }
    if redrive { redrive::all(&clients, matching, json).await } else { list(&clients, matching, json).await }
}

async fn list(clients: &Clients, matching: Vec<(Held, Letter)>, json: bool) -> Result<(), CommandError> {
    for (held, _) in &matching {
        queues::release(clients, held).await?;
    }
    let letters: Vec<&Letter> = matching.iter().map(|(_, letter)| letter).collect();
    if json {
        output::json(&json!({ "letters": letters }))?;
        return Ok(());
    }
    let mut rows = vec![["QUEUE", "RUNTIME", "ID", "SENT", "RECEIVED", "CAUSE"].map(str::to_owned).to_vec()];
    rows.extend(letters.into_iter().map(Letter::row));
    output::table(&rows)?;
    Ok(())
}
