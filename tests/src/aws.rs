//! The AWS APIs under test: embedded ones, fresh for each test, or whatever is at `AWS_ENDPOINT_URL`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use local_stack::aws::{AwsOptions, EmbeddedAws};
use local_stack::provision::Clients;

/// An AWS endpoint for one test.
pub struct Aws {
    /// Where it is.
    pub url: String,
    /// Clients for it.
    pub clients: Clients,
    /// The embedded endpoints, if they are used: only they inject faults.
    pub embedded: Option<EmbeddedAws>,
    folder: Option<PathBuf>,
}

impl Aws {
    /// The endpoint that the environment names, or embedded ones.
    pub async fn start() -> Self {
        Self::start_with_latency(Duration::ZERO).await
    }

    /// The same; each call to embedded ones takes so much longer.
    pub async fn start_with_latency(latency: Duration) -> Self {
        // The tests' own HTTP clients want a TLS provider, though nothing here uses TLS.
        rustls::crypto::ring::default_provider().install_default().ok();
        if let Some(url) = external() {
            return Self { clients: Clients::new(&url), url, embedded: None, folder: None };
        }
        let folder = std::env::temp_dir().join(format!("darkroom-test-{}", uuid::Uuid::new_v4().simple()));
        let options = AwsOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: folder.clone(),
            latency,
            record_calls: true,
            persist_messages: false,
        };
        let embedded = EmbeddedAws::start(options).await.unwrap();
        let url = embedded.url();
        Self { clients: Clients::new(&url), url, embedded: Some(embedded), folder: Some(folder) }
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The endpoint that the environment names for the suite, instead of the embedded one.
pub fn external() -> Option<String> {
    std::env::var("AWS_ENDPOINT_URL").ok().filter(|url| !url.is_empty())
}

/// Whether the test must be skipped because it needs the embedded endpoints; prints the test and the reason on standard output.
#[expect(clippy::print_stdout, reason = "the run against another endpoint lists what it skipped")]
pub fn skipped_elsewhere(test: &str, reason: &str) -> bool {
    let skipped = external().is_some();
    if skipped {
        println!("skipped {test}: {reason}");
    }
    skipped
}
