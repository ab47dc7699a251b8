//! Behaviour beyond the recordings: one job at a time, faults, and records for tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod comfyui;
mod openai_images;
mod progress;
mod sdcpp;
mod sdwebui;

use std::{net::SocketAddr, time::Duration};

use simulated_runtimes::{BusyInterval, Simulation};

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn client() -> reqwest::Client {
    // Fails only if another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Waits until `condition` holds, for at most half a minute.
async fn until(simulation: &Simulation, condition: impl Fn(&Simulation) -> bool) {
    let waiting = async {
        while !condition(simulation) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap();
}

/// Jobs of at least `latency` each, none starting before the previous one is finished.
fn assert_one_at_a_time(intervals: &[BusyInterval], latency: Duration) {
    for interval in intervals {
        assert!(interval.end - interval.start >= latency, "{interval:?}");
    }
    for pair in intervals.windows(2) {
        assert!(pair[0].end <= pair[1].start, "{pair:?}");
    }
}
