//! What the figures were measured on: they mean little without it.

use anyhow::{Context, Result};
use integration_tests::binaries;

/// Cores, profile and load before the measurements.
pub(crate) fn describe() -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    let profile = match binaries::profile().as_str() {
        "dist" => "dist".to_owned(),
        other => format!("{other} (the aims are for dist)"),
    };
    Ok(format!("{cores} cores, {system} {architecture}, profile {profile}, {}", load()?))
}

/// The load averages of the last 1, 5 and 15 minutes.
pub(crate) fn load() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg").context("/proc/loadavg cannot be read")?;
    let averages: Vec<&str> = text.split_ascii_whitespace().take(3).collect();
    Ok(format!("load {}", averages.join(" ")))
}
