//! `darkroom load`: a bounded load test. Many equal tasks are submitted and waited for; each stage of their way is measured.

mod report;
mod run;

use std::time::Duration;

use clap::Args;
use uuid::Uuid;

use crate::api::Api;
use crate::error::Error;
use crate::output;
use crate::submit::Work;
use crate::target::Target;

use report::Report;

/// The label of its tasks.
const LABEL: &str = "load";

#[derive(Debug, Args)]
pub(crate) struct LoadArguments {
    #[command(flatten)]
    work: Work,
    /// How many tasks are submitted.
    #[arg(long, default_value_t = 20, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    tasks: u32,
    /// How many requests are in flight at once.
    #[arg(long, default_value_t = 8, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,
    /// The most submissions per second; as fast as they are accepted if absent.
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    rate: Option<f64>,
    /// How long the test may take, in seconds. Tasks that have not finished then continue.
    #[arg(long, default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

fn positive(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| *rate >= 0.001 && *rate <= 10_000.0);
    rate.ok_or_else(|| "must be a number from 0.001 to 10000".to_owned())
}

pub(crate) async fn run(
    api: &Api,
    target: &Target,
    arguments: &LoadArguments,
    json: bool,
) -> Result<(), Error> {
    let mut body = arguments.work.body(api, target).await?;
    let name = Uuid::new_v4().simple().to_string();
    body["labels"][LABEL] = name.clone().into();
    output::note(&format!(
        "load {name}: {} tasks; `darkroom list --label {LABEL}={name}` lists them",
        arguments.tasks
    ));
    let mut report = Report::new(name, arguments.tasks);
    let plan = run::Plan {
        body: &body,
        tasks: arguments.tasks,
        concurrency: arguments.concurrency as usize,
        gap: arguments.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate)),
        limit: Duration::from_secs(arguments.timeout),
    };
    let stopped = tokio::select! {
        () = run::run(api, &plan, &mut report) => false,
        Ok(()) = tokio::signal::ctrl_c() => true,
    };
    report.finish();
    report.print(json)?;
    match report.without_success() {
        _ if stopped => Err(Error::Interrupted),
        0 => Ok(()),
        n => Err(Error::SomeFailed(format!("{n} of {} tasks have not succeeded", arguments.tasks))),
    }
}
