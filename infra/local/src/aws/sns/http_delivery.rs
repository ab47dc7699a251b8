//! POSTs to HTTP and HTTPS subscribers.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, StatusCode, redirect};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// The response timeout of AWS ("Amazon SNS message delivery to HTTP/S endpoints").
const TIMEOUT: Duration = Duration::from_secs(15);

/// The backoff between attempts. That of AWS adds up to an hour, too long for a local stack.
const BACKOFF: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// Sends in the background until it is stopped.
#[derive(Clone)]
pub(super) struct HttpDelivery {
    client: Client,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// One document for one subscriber.
pub(super) struct Post {
    pub(super) url: String,
    pub(super) message_type: &'static str,
    pub(super) message_id: Uuid,
    pub(super) topic_arn: String,
    pub(super) subscription_arn: Option<String>,
    pub(super) is_raw: bool,
    pub(super) body: String,
}

impl HttpDelivery {
    pub(super) fn new(stop: CancellationToken) -> anyhow::Result<Self> {
        // Fails only if the provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent("Amazon Simple Notification Service Agent")
            .build()
            .context("cannot create the http client of sns")?;
        Ok(Self { client, tasks: TaskTracker::new(), stop })
    }

    /// Sends with retries; `give_up` is called with the reason of the last failure.
    pub(super) fn send(&self, post: Post, give_up: impl FnOnce(String) + Send + 'static) {
        let delivery = self.clone();
        self.tasks.spawn(async move {
            let stopped = delivery.stop.clone().cancelled_owned();
            tokio::select! {
                outcome = delivery.attempt_with_retries(&post) => if let Err(reason) = outcome { give_up(reason) },
                () = stopped => {}
            }
        });
    }

    /// Waits for the deliveries in progress.
    pub(super) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn attempt_with_retries(&self, post: &Post) -> Result<(), String> {
        let mut backoff = BACKOFF.into_iter();
        loop {
            let failure = match self.attempt(post).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            match backoff.next() {
                Some(delay) if failure.is_transient => tokio::time::sleep(delay).await,
                _ => return Err(failure.reason),
            }
        }
    }

    async fn attempt(&self, post: &Post) -> Result<(), Failure> {
        let mut request = self
            .client
            .post(&post.url)
            .header("content-type", "text/plain; charset=UTF-8")
            .header("x-amz-sns-message-type", post.message_type)
            .header("x-amz-sns-message-id", post.message_id.to_string())
            .header("x-amz-sns-topic-arn", &post.topic_arn)
            .body(post.body.clone());
        if let Some(arn) = &post.subscription_arn {
            request = request.header("x-amz-sns-subscription-arn", arn);
        }
        if post.is_raw {
            request = request.header("x-amz-sns-rawdelivery", "true");
        }
        let response = request
            .send()
            .await
            .map_err(|error| Failure { reason: error.without_url().to_string(), is_transient: true })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        // Other client errors are final, as at AWS.
        let is_transient = !status.is_client_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(Failure { reason: format!("the endpoint answered {status}"), is_transient })
    }
}

struct Failure {
    reason: String,
    is_transient: bool,
}
