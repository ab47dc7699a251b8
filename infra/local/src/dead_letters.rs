//! The dead-letter Lambda in this process, fed by one dead-letter queue.

use std::convert::Infallible;
use std::time::Duration;

use worker::dead_letter::{Config, DeadLetters};

use crate::event_source::EventSource;
use crate::provision::Clients;

/// How long the function may take, in seconds.
const FUNCTION_SECONDS: u32 = 30;

/// Ends whatever gets into the queue. Returns only when SQS does not answer as it should.
pub(crate) async fn empty(clients: &Clients, queue_url: &str, config: &Config) -> anyhow::Result<Infallible> {
    let function = DeadLetters::new(&clients.sdk, config);
    let source = EventSource::new(clients, queue_url, FUNCTION_SECONDS).await?;
    loop {
        let messages = source.receive(EventSource::LONGEST_POLL_SECONDS).await?;
        if messages.is_empty() {
            continue;
        }
        let event = serde_json::from_value(source.event(&messages))?;
        let answer = function.handle(&event, Duration::from_secs(FUNCTION_SECONDS.into())).await;
        source.settle(&messages, &serde_json::to_value(answer)?).await?;
    }
}
