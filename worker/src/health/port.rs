//! The port that probes and scrapers ask.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::metrics::CONTENT_TYPE;
use super::{HealthState, ProbeResult};

/// Outside of what exporters (9100 to 9999) and Stable Diffusion servers (7860, 8080, 8188, 9090) listen on, since the
/// containers of a pod share one address.
pub const DEFAULT_PORT: u16 = 8390;

/// Where the kubelet asks whether the worker's container lives.
pub const LIVENESS: &str = "/healthz";
/// Where it asks whether the worker receives messages.
pub const READINESS: &str = "/readyz";
/// Where it asks whether the runtime's container lives.
pub const RUNTIME_LIVENESS: &str = "/runtime-livez";
/// Where Prometheus asks.
pub const METRICS: &str = "/metrics";

/// `HEALTH_LISTEN`: where the port is, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthListen(pub Option<SocketAddr>);

impl Default for HealthListen {
    fn default() -> Self {
        Self(Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT))))
    }
}

impl FromStr for HealthListen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        text.parse()
            .map(|address| Self(Some(address)))
            .map_err(|_| "it must be an address and a port, or `off`")
    }
}

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("HEALTH_LISTEN {address} cannot be listened on: {cause}")]
pub struct PortError {
    address: SocketAddr,
    cause: io::Error,
}

/// Answers on the port until the handle is dropped; `None` when there is to be no port.
pub async fn serve(
    listen: HealthListen,
    health: Arc<HealthState>,
) -> Result<Option<AbortOnDropHandle<()>>, PortError> {
    let HealthListen(Some(address)) = listen else { return Ok(None) };
    let refused = |cause| PortError { address, cause };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    tracing::info!(address = %listener.local_addr().map_err(refused)?, "listening");
    let serving = async move {
        if let Err(error) = axum::serve(listener, router(health)).await {
            tracing::error!(%error, "health server failed");
        }
    };
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(serving.in_current_span()))))
}

fn router(health: Arc<HealthState>) -> Router {
    Router::new()
        .route(LIVENESS, get(async |State(health): State<Arc<HealthState>>| Answer(health.liveness())))
        .route(READINESS, get(async |State(health): State<Arc<HealthState>>| Answer(health.readiness())))
        .route(
            RUNTIME_LIVENESS,
            get(async |State(health): State<Arc<HealthState>>| Answer(health.runtime_liveness())),
        )
        .route(METRICS, get(metrics))
        .with_state(health)
}

async fn metrics(State(health): State<Arc<HealthState>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], health.metrics().text())
}

/// The answer to a probe: 200, or 503 and the reason.
struct Answer(ProbeResult);

impl IntoResponse for Answer {
    fn into_response(self) -> axum::response::Response {
        match self.0 {
            Ok(()) => (StatusCode::OK, Json(json!({ "ok": true }))).into_response(),
            Err(reason) => {
                let said = Json(json!({ "ok": false, "reason": reason }));
                (StatusCode::SERVICE_UNAVAILABLE, said).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_an_address_or_off() {
        assert_eq!("off".parse(), Ok(HealthListen(None)));
        assert_eq!("[::]:8390".parse::<HealthListen>().unwrap().0.unwrap().port(), 8390);
        assert!("8390".parse::<HealthListen>().is_err());
        assert!("localhost:8390".parse::<HealthListen>().is_err());
    }
}
