#![doc = include_str!("README.md")]

mod calls;
mod connection;
mod disk;
mod dispatch;
mod dynamodb;
mod faults;
mod message_attributes;
mod permissions;
mod protocol;
mod s3;
mod service_protocol;
mod sns;
mod sqs;
mod subject;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::calls::CallRecord;
use self::connection::{Connection, CuttableListener};
use self::dispatch::Services;
pub use self::faults::{Fault, Faults, Order, Service};
pub use self::subject::{Delivery, Subject};
use crate::Error;

/// The one region.
pub const REGION: &str = "us-east-1";

/// The one account.
pub const ACCOUNT: &str = "000000000000";

/// How long [`EmbeddedAws::stop`] waits for calls and deliveries in progress.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// The name of a queue or topic across services.
fn arn(service: &str, name: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{name}")
}

/// The file of an object of the emulated S3, whether it exists or not. It is `<data_dir>/<bucket>/<key>`, except
/// for keys with characters that a file name cannot have.
pub fn object_path(data_dir: &Path, bucket: &str, key: &str) -> PathBuf {
    s3::object_path(data_dir, bucket, key)
}

/// How to start the embedded endpoints.
#[derive(Debug, Clone)]
pub struct AwsOptions {
    /// A loopback address; port 0 selects a free one.
    pub listen: SocketAddr,
    /// Objects become files in one folder per bucket below this folder, which is created if it does not exist.
    pub data_dir: PathBuf,
    /// The delay before each call takes effect, as of a network.
    pub latency: Duration,
    /// Records every call, for [`EmbeddedAws::calls`]. The log is unbounded: for tests only.
    pub record_calls: bool,
    /// Persists queues with their messages, topics, subscriptions and tables below `data_dir`, for the next process.
    /// Otherwise they are in memory only.
    pub persist_messages: bool,
}

/// DynamoDB, S3, SNS and SQS on one port, until it is stopped or dropped.
#[derive(Debug)]
pub struct EmbeddedAws {
    address: SocketAddr,
    services: Arc<Services>,
    server: JoinHandle<std::io::Result<()>>,
    stop: DropGuard,
}

impl EmbeddedAws {
    /// Listens and serves.
    ///
    /// # Errors
    ///
    /// When the address is not on loopback or is in use, or the folder cannot be created.
    pub async fn start(options: AwsOptions) -> Result<Self, Error> {
        Ok(Self::serve(options).await?)
    }

    async fn serve(options: AwsOptions) -> anyhow::Result<Self> {
        ensure!(options.listen.ip().is_loopback(), "{} is not a loopback address", options.listen);
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("cannot listen on {}", options.listen))?;
        let address = listener.local_addr().context("the listener has no address")?;
        let stop = CancellationToken::new();
        let services = Arc::new(Services::new(&options, address, stop.clone())?);
        let app = Router::new().fallback(dispatch::dispatch).with_state(Arc::clone(&services));
        let server =
            axum::serve(CuttableListener(listener), app.into_make_service_with_connect_info::<Connection>())
                .with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(server.into_future());
        tracing::info!(%address, data_dir = %options.data_dir.display(), "embedded aws endpoints are up");
        Ok(Self { address, services, server, stop: stop.drop_guard() })
    }

    /// Where the endpoints listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint URL for AWS clients, `http://127.0.0.1:4566`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of messages, visible or not, of each queue that is not empty, by the queue's name.
    pub fn message_counts(&self) -> Vec<(String, usize)> {
        self.services.sqs.message_counts()
    }

    /// Fault injection for tests.
    pub fn faults(&self) -> &Faults {
        &self.services.faults
    }

    /// Gives the callers with this access key id a role that allows only these actions, named as in a policy
    /// (`s3:PutObject`). All other callers may do everything.
    pub fn allow_only(&self, access_key: &str, actions: &[&str]) {
        self.services.permissions.allow_only(access_key, actions);
    }

    /// Every finished call, in the order of completion, if [`AwsOptions::record_calls`].
    pub fn calls(&self) -> Vec<CallRecord> {
        self.calls_after(0)
    }

    /// The same without the first `skipped` of them.
    pub fn calls_after(&self, skipped: usize) -> Vec<CallRecord> {
        self.services.calls.after(skipped)
    }

    /// The number of finished calls, if they are recorded.
    pub fn call_count(&self) -> usize {
        self.services.calls.count()
    }

    /// Delivers a message a second time although it is hidden, as a standard queue may ("at-least-once delivery"): a
    /// copy of it, with the same id, is visible now, and deliveries of either copy do not touch the other one.
    ///
    /// Copies every message of the queue that is in flight, or only that with `message_id`; returns how many.
    pub fn deliver_again(&self, queue_url: &str, message_id: Option<&str>) -> usize {
        self.services.sqs.deliver_again(queue_url, message_id)
    }

    /// Graceful shutdown: finishes calls in progress, cancels long polls and stops listening.
    pub async fn stop(self) {
        self.stop.disarm().cancel();
        let finished = async {
            self.services.finish().await;
            self.server.await
        };
        if tokio::time::timeout(STOP_DEADLINE, finished).await.is_err() {
            tracing::warn!("embedded aws endpoints did not stop in time");
        }
    }
}
