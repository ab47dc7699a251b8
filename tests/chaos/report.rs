//! What the run was like, in figures.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::history::{History, What};
use crate::pod::End;

/// What was done, and how much of it at the moment that was asked for.
pub(crate) type Done = BTreeMap<String, (usize, usize)>;

/// Prints everything but the violations.
pub(crate) fn print(history: &History, done: &Done, wall: Duration) {
    println!("\nDone to the system (of it at the intended moment)");
    for (kind, (times, in_time)) in done {
        println!("  {times:5}  ({in_time:3})  {kind}");
    }
    println!("\nWhat became of it");
    for (figure, what) in figures(history) {
        println!("  {figure:>8}  {what}");
    }
    println!("  {:>8.1}  seconds of wall time", wall.as_secs_f64());
}

fn figures(history: &History) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let mut line = |figure: usize, what: &str| lines.push((figure.to_string(), what.to_owned()));
    line(history.heard.accepted.len(), "tasks accepted");
    line(history.heard.refused, "POSTs answered 503");
    for (status, count) in ends(history) {
        line(count, &format!("tasks that {status}"));
    }
    let processes: usize = history.diaries.iter().map(|(_, diary)| diary.lives.len()).sum();
    line(processes, "worker processes");
    line(killed(history), "of them ended by kill -9");
    line(beyond_one(history.count(What::Notified).into_values()), "second notifications");
    let runs = history.runs_by_task();
    line(history.runs.len(), "runs");
    line(beyond_one(runs.values().map(Vec::len)), "of them repeated");
    let orphans: Vec<Duration> =
        history.runs.iter().filter_map(|run| Some(run.end - history.orphaned(run)?.max(run.start))).collect();
    line(orphans.len(), "of them orphaned by kill -9");
    line(history.runs.iter().filter(|run| run.is_cut).count(), "of them cut off by the death of the runtime");
    let broken = history.runs.iter().filter(|run| run.met_broken);
    line(broken.map(|run| &run.task).collect::<HashSet<_>>().len(), "tasks that met a broken GPU");
    let expired = history.tenures.all().iter().filter(|tenure| tenure.is_expired()).count();
    line(history.tenures.all().len(), "deliveries");
    line(expired, "of them with a lease that ran out");
    let wasted: Duration = orphans.into_iter().sum();
    lines.push((format!("{:.1}", wasted.as_secs_f64()), "GPU seconds of orphaned runs".to_owned()));
    lines
}

/// How many tasks ended how, by status and error code.
fn ends(history: &History) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::new();
    for told in history.told.values().filter_map(|told| told.first()) {
        let status = told["task_status"].as_str().unwrap_or("ended somehow");
        let code = told.pointer("/error/code").and_then(serde_json::Value::as_str);
        let how = code.map_or_else(|| status.to_owned(), |code| format!("{status}: {code}"));
        *ends.entry(how).or_default() += 1;
    }
    ends
}

fn killed(history: &History) -> usize {
    let lives = history.diaries.iter().flat_map(|(_, diary)| &diary.lives);
    lives.filter(|life| matches!(life.ended, Some((_, End::Killed)))).count()
}

fn beyond_one(counts: impl Iterator<Item = usize>) -> usize {
    counts.map(|count| count.saturating_sub(1)).sum()
}
