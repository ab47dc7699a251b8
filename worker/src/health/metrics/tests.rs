//! What a scraper sees.

use super::*;
use std::collections::BTreeSet;

/// Metrics with one event of each kind.
fn all_seen() -> Metrics {
    let metrics = Metrics::new("sdruntime", Price::new(3_600.0), false);
    metrics.received(1, Duration::from_secs(2));
    metrics.completed("succeeded", None);
    metrics.completed("failed", Some(ErrorCode::RunTimeout));
    metrics.given_back("stopping");
    metrics.retried(ErrorCode::RuntimeStuck);
    metrics.runtime_interrupted("timeout");
    metrics.scratch_free(1);
    metrics
}

/// Name, type and labels of each metric that a scraper sees.
fn scraped(text: &str) -> BTreeSet<(String, String, String)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .map(|(name, kind)| {
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            let sample = text.lines().find(|line| line.starts_with(&name)).unwrap();
            let labels = sample.split_once('{').unwrap().1.split_once('}').unwrap().0;
            let own = labels.split(',').filter_map(|label| label.split('=').next());
            let own: Vec<String> = own
                .filter(|label| !["runtime", "le"].contains(label))
                .map(|label| format!("`{label}`"))
                .collect();
            (name, kind.to_owned(), own.join(", "))
        })
        .collect()
}

#[test]
fn the_readme_lists_every_metric_with_its_type_and_labels() {
    let rows = include_str!("../../../README.md").lines().filter(|line| line.contains("<!--metric-->"));
    let listed: BTreeSet<(String, String, String)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let name = cells[1].split('`').nth(1).unwrap();
            (name.to_owned(), cells[2].to_owned(), cells[3].to_owned())
        })
        .collect();
    assert_eq!(listed, scraped(&all_seen().text()));
}

#[test]
fn what_happens_is_counted_under_the_runtimes_name() {
    let metrics = all_seen();
    metrics.received(2, Duration::ZERO);
    metrics.received(3, Duration::ZERO);
    metrics.gpu_busy(Duration::from_millis(1500), true);
    metrics.images(2);
    metrics.bytes_in(10);
    metrics.gpu_gap(Duration::from_millis(3));
    let text = metrics.text();
    for line in [
        r#"darkroom_worker_tasks_received_total{runtime="sdruntime",attempt="repeat"} 2"#,
        r#"darkroom_worker_tasks_ended_total{runtime="sdruntime",status="failed",code="run_timeout"} 1"#,
        r#"darkroom_worker_attempts_failed_total{runtime="sdruntime",code="runtime_stuck"} 1"#,
        r#"darkroom_worker_queue_age_seconds_bucket{runtime="sdruntime",le="1.0"} 2"#,
        r#"darkroom_worker_gpu_busy_seconds_total{runtime="sdruntime",result="succeeded"} 1.5"#,
        r#"darkroom_worker_images_total{runtime="sdruntime"} 2"#,
        r#"darkroom_worker_input_bytes_total{runtime="sdruntime"} 10"#,
        r#"darkroom_worker_gpu_gap_seconds_bucket{runtime="sdruntime",le="0.005"} 1"#,
        r#"darkroom_worker_stage_seconds_count{runtime="sdruntime",stage="commit"} 0"#,
    ] {
        assert!(text.lines().any(|said| said == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn a_run_that_names_another_model_is_a_switch() {
    let metrics = Metrics::new("sdruntime", None, true);
    let models = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for named in [&["a"][..], &[], &["a"], &["b", "c"], &["b", "c"], &["a"]] {
        metrics.run_named(models(named));
    }
    let line = r#"darkroom_worker_model_switches_total{runtime="sdruntime"} 2"#;
    assert!(metrics.text().lines().any(|said| said == line), "{}", metrics.text());
}

#[test]
fn time_and_cost_are_counted_by_the_price() {
    let metrics = all_seen();
    let value = |name: &str| {
        let text = metrics.text();
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap();
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    let uptime = value("darkroom_worker_uptime_seconds_total");
    let (cost, later) =
        (value("darkroom_worker_cost_usd_total"), value("darkroom_worker_uptime_seconds_total"));
    assert!((uptime..=later).contains(&cost), "at 3,600 dollars per hour: {uptime} {cost} {later}");
    let without = Metrics::new("sdruntime", None, false).text();
    assert!(!without.lines().any(|line| line.starts_with("darkroom_worker_cost_usd_total")), "{without}");
}
