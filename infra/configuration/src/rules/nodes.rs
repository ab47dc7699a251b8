//! What does not go together with EKS Auto Mode.

use crate::config::Config;

/// Auto Mode launches nodes of its own images, whose layers it pulls in parallel by itself (EKS user guide, "Managed instances").
pub(super) fn faults(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    if config.cluster.nodes != "auto" {
        return faults;
    }
    if ["snapshot", "soci"].contains(&config.image_cache.mode.as_str()) {
        let text = "EKS Auto Mode pulls images in its own way; use `auto` or `none`";
        faults.push(format!("imageCache.mode: {text}"));
    }
    faults
}
