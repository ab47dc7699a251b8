#![doc = include_str!("README.md")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a harness fails by panicking")]
#![allow(clippy::print_stdout, reason = "a report on the terminal is what it is for")]

mod cluster;
mod history;
mod inject;
mod kubelet;
mod lease;
mod pod;
mod random;
mod report;
mod schedule;
mod traffic;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use integration_tests::{aws, binaries};
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::history::History;
use crate::random::Random;
use crate::report::Done;
use crate::schedule::{Disruption, Event};
use crate::traffic::Traffic;

/// Disrupts everything at once, and checks whether a task was lost or completed twice.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Repeats a schedule; a random one otherwise.
    #[arg(long)]
    seed: Option<u64>,
    /// Tasks to submit, at least.
    #[arg(long, default_value_t = 200)]
    tasks: usize,
    /// Kills of workers, runtimes, or both, at least; the number of all other faults follows from it.
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// How long a message stays hidden, in seconds.
    #[arg(long, default_value_t = 6)]
    visibility: u64,
}

/// The pause between two submissions while many events wait for their moment.
const SUBMIT_PAUSE: Duration = Duration::from_millis(100);

/// After the last submission, everything completes within so many visibility timeouts.
const MAX_TIMEOUTS_TO_SETTLE: u32 = 8;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    ensure!(aws::external().is_none(), "unset AWS_ENDPOINT_URL: only the embedded AWS APIs can be broken");
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    println!(
        "chaos --seed {seed} --tasks {} --kills {} --visibility {}",
        arguments.tasks, arguments.kills, arguments.visibility
    );
    for program in ["worker", "dead-letter"] {
        binaries::executable(program);
    }
    let folder = std::env::temp_dir().join(format!("darkroom-chaos-{seed}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;

    let began = Instant::now();
    let hidden = Duration::from_secs(arguments.visibility);
    let events = schedule::schedule(seed, arguments.tasks, arguments.kills, hidden);
    let poison: Vec<&str> = events.iter().filter_map(poison).collect();
    let cluster = Arc::new(Cluster::start(&folder, hidden).await?);
    let traffic = Arc::new(Traffic::default());
    let done = tokio::select! {
        done = run(&cluster, &traffic, events, &arguments, seed) => done?,
        () = traffic.listen(&cluster) => unreachable!("clients never stop listening"),
        () = cluster.consume_dead_letters() => unreachable!("the function never stops"),
    };
    let records = cluster.stop().await;
    let pods = cluster.pods.iter().map(|pod| pod.name.clone());
    let history = History::new(&cluster.aws().calls(), traffic.record(), pods.zip(records).collect());
    let violations = verify::violations(&cluster, &history, &poison).await?;

    report::print(&history, &done, began.elapsed());
    if violations.is_empty() {
        println!("\nNothing was lost, and no worker acted without a lease.");
        std::fs::remove_dir_all(&folder).context("the logs cannot be removed")?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nSeed {seed}: {} violations; logs in {}", violations.len(), folder.display());
    for violation in &violations {
        println!("  {violation}");
    }
    Ok(ExitCode::FAILURE)
}

fn poison(event: &Event) -> Option<&'static str> {
    match event.disruption {
        Disruption::Poison(body) => Some(body),
        _ => None,
    }
}

/// Submits tasks and injects the scheduled faults, and waits until all tasks have completed.
async fn run(
    cluster: &Arc<Cluster>,
    traffic: &Arc<Traffic>,
    events: Vec<Event>,
    arguments: &Arguments,
    seed: u64,
) -> Result<Done> {
    let began = Instant::now();
    let random = &mut Random::new(!seed);
    let mut done = Done::new();
    let mut injections: JoinSet<Result<(String, bool)>> = JoinSet::new();
    let mut events = events.into_iter().peekable();
    let mut submitted = 0;
    // Continues until the last event has taken place: most wait for a worker to process a task.
    while submitted < arguments.tasks || !injections.is_empty() {
        while let Some(event) = events.next_if(|event| event.after <= submitted) {
            let (cluster, traffic) = (Arc::clone(cluster), Arc::clone(traffic));
            injections.spawn(async move {
                let in_time = inject::inject(&cluster, &traffic, &event).await?;
                Ok((event.disruption.kind(), in_time))
            });
        }
        while let Some(injected) = injections.try_join_next() {
            let (kind, in_time) = injected??;
            let (times, times_in_time) = done.entry(kind).or_default();
            *times += 1;
            *times_in_time += usize::from(in_time);
        }
        if injections.len() > cluster.pods.len() {
            tokio::time::sleep(SUBMIT_PAUSE).await;
        }
        traffic.wait_for_room().await;
        traffic.submit(cluster, random).await;
        submitted += 1;
        if submitted % 100 == 0 {
            print_progress(
                began,
                &format!(
                    "{submitted} submitted, {} open, {} events in progress",
                    traffic.open(),
                    injections.len()
                ),
            );
        }
    }
    print_progress(began, &format!("all {submitted} submitted, {} open", traffic.open()));
    let deadline = Instant::now() + Duration::from_secs(arguments.visibility) * MAX_TIMEOUTS_TO_SETTLE;
    while !has_settled(cluster, traffic).await && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    print_progress(began, &format!("settled, {} open", traffic.open()));
    Ok(done)
}

fn print_progress(began: Instant, what: &str) {
    println!("{:6.1} s  {what}", began.elapsed().as_secs_f64());
}

/// Whether every task has completed, all queues are empty, and clients have received all notifications.
async fn has_settled(cluster: &Cluster, traffic: &Traffic) -> bool {
    if traffic.open() > 0 || !cluster.is_drained().await {
        return false;
    }
    let calls = cluster.aws().calls();
    traffic.record().notifications.len() >= calls.iter().filter(|call| history::is_notification(call)).count()
}
