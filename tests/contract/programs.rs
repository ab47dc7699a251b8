//! What each program reads, and where it listens.

use api_lambda::router::{PATHS, PUBLIC};
use api_lambda::{comfy, console, v1};
use serde_json::{Map, Value, json};
use worker::config::SHUTDOWN_MARGIN_SECONDS;
use worker::health::port;
use worker::runtimes::{REGISTRY, RuntimeType};

use crate::variables::variables_of;

/// The front door's Lambda.
pub(crate) fn front_door() -> Value {
    let paths = PATHS.iter().chain(&v1::PATHS).chain(&console::PATHS).map(
        |(method, path)| json!({ "method": method.as_str(), "path": path, "public": PUBLIC.contains(path) }),
    );
    json!({
        "variables": variables_of(|lookup| api_lambda::Config::from_vars(lookup)),
        "paths": paths.collect::<Vec<_>>(),
        "comfy_bases": comfy::BASES,
    })
}

/// The worker, and the runtimes that it expects in its pod.
pub(crate) fn worker() -> Value {
    let runtimes: Map<String, Value> =
        REGISTRY.iter().map(|known| (known.name().to_owned(), runtime(known))).collect();
    json!({
        "variables": variables_of(|lookup| worker::config::Config::from_vars(lookup)),
        "health_port": port::DEFAULT_PORT,
        "paths": {
            "liveness": port::LIVENESS,
            "readiness": port::READINESS,
            "runtime_liveness": port::RUNTIME_LIVENESS,
            "metrics": port::METRICS,
        },
        "runtimes": runtimes,
        "drain_margin_seconds": SHUTDOWN_MARGIN_SECONDS,
    })
}

fn runtime(known: &RuntimeType) -> Value {
    let address = known.default_address;
    let host_and_port = address.rsplit_once("://").map_or(address, |(_, rest)| rest);
    let port = host_and_port.split('/').next().and_then(|host| host.rsplit_once(':')).unwrap().1;
    json!({
        "port": port.parse::<u16>().unwrap(),
        "task_types": known.task_types(),
        "takes_several": known.takes_several,
    })
}

/// The dead-letter Lambda.
pub(crate) fn dead_letter() -> Value {
    json!({ "variables": variables_of(|lookup| worker::dead_letter::Config::from_vars(lookup)) })
}
