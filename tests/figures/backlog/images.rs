//! A server of images with the latency of a network.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::bodies;

/// How long the server waits before it answers.
const WAIT: Duration = Duration::from_millis(200);

/// The server, on loopback, until it is dropped.
pub(super) struct Images {
    root: String,
    _serving: AbortOnDropHandle<std::io::Result<()>>,
}

impl Images {
    /// Serves images of that many bytes.
    pub(super) async fn serve(bytes: usize) -> Result<Self> {
        let image = Bytes::from(bodies::image(bytes));
        let answer = async move || {
            tokio::time::sleep(WAIT).await;
            ([(header::CONTENT_TYPE, "image/png")], image)
        };
        let router = Router::new().route("/{name}", get(answer));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let root = format!("http://{}", listener.local_addr()?);
        let serving: JoinHandle<_> = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { root, _serving: AbortOnDropHandle::new(serving) })
    }

    /// The address of an image. Each name is an address of its own, so that none is fetched once for several tasks.
    pub(super) fn url(&self, name: &str) -> String {
        format!("{}/{name}.png", self.root)
    }
}
