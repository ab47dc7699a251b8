//! The figures of the run.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::history::{ActionKind, History};
use crate::pod::ExitCause;

/// The disruptions, and how many of them were at the intended moment.
pub(crate) type Done = BTreeMap<String, (usize, usize)>;

/// Prints everything but the violations.
pub(crate) fn print(history: &History, done: &Done, wall: Duration) {
    println!("\nDisruptions (of them at the intended moment)");
    for (kind, (times, in_time)) in done {
        println!("  {times:5}  ({in_time:3})  {kind}");
    }
    println!("\nResults");
    for (figure, what) in figures(history) {
        println!("  {figure:>8}  {what}");
    }
    println!("  {:>8.1}  seconds of wall time", wall.as_secs_f64());
}

fn figures(history: &History) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let mut line = |figure: usize, what: &str| lines.push((figure.to_string(), what.to_owned()));
    line(history.clients.accepted.len(), "tasks accepted");
    line(history.clients.refused, "POSTs answered 503");
    for (status, count) in results(history) {
        line(count, &format!("tasks that {status}"));
    }
    let processes: usize = history.pods.iter().map(|(_, record)| record.processes.len()).sum();
    line(processes, "worker processes");
    line(killed(history), "of them killed by kill -9");
    line(beyond_one(history.count(ActionKind::Notified).into_values()), "second notifications");
    let runs = history.runs_by_task();
    line(history.runs.len(), "runs");
    line(beyond_one(runs.values().map(Vec::len)), "of them repeated");
    let orphans: Vec<Duration> =
        history.runs.iter().filter_map(|run| Some(run.end - history.orphaned(run)?.max(run.start))).collect();
    line(orphans.len(), "of them orphaned by kill -9");
    line(history.runs.iter().filter(|run| run.is_cut).count(), "of them cut off by a crash of the runtime");
    let broken = history.runs.iter().filter(|run| run.met_broken);
    line(broken.map(|run| &run.task).collect::<HashSet<_>>().len(), "tasks that met a broken GPU");
    let expired = history.leases.all().iter().filter(|lease| lease.is_expired()).count();
    line(history.leases.all().len(), "deliveries");
    line(expired, "of them with a lease that expired");
    let wasted: Duration = orphans.into_iter().sum();
    lines.push((format!("{:.1}", wasted.as_secs_f64()), "GPU seconds of orphaned runs".to_owned()));
    lines
}

/// How many tasks have which result, by status and error code.
fn results(history: &History) -> BTreeMap<String, usize> {
    let mut results = BTreeMap::new();
    for completion in history.notifications.values().filter_map(|sent| sent.first()) {
        let status = completion["task_status"].as_str().unwrap_or("have no status");
        let code = completion.pointer("/error/code").and_then(serde_json::Value::as_str);
        let result = code.map_or_else(|| status.to_owned(), |code| format!("{status}: {code}"));
        *results.entry(result).or_default() += 1;
    }
    results
}

fn killed(history: &History) -> usize {
    let processes = history.pods.iter().flat_map(|(_, record)| &record.processes);
    processes.filter(|process| matches!(process.exit, Some((_, ExitCause::Killed)))).count()
}

fn beyond_one(counts: impl Iterator<Item = usize>) -> usize {
    counts.map(|count| count.saturating_sub(1)).sum()
}
