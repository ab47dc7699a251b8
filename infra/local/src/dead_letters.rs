//! The dead-letter Lambda in this process, fed by one dead-letter queue.

use std::convert::Infallible;
use std::time::Duration;

use task_traces::Traces;
use worker::dead_letter::{Config, DeadLetters};

use crate::event_source::EventSource;
use crate::provision::Clients;

/// The timeout of the function, in seconds.
const FUNCTION_TIMEOUT_SECONDS: u32 = 30;

/// Processes the messages of the queue. Returns only when a call of SQS fails.
pub(crate) async fn process(
    clients: &Clients,
    queue_url: &str,
    config: &Config,
) -> anyhow::Result<Infallible> {
    let traces = Traces::from_env(worker::spans::DEAD_LETTERS, None);
    let function = DeadLetters::new(&clients.sdk, config).with_traces(traces);
    let source = EventSource::new(clients, queue_url, FUNCTION_TIMEOUT_SECONDS).await?;
    loop {
        let messages = source.receive(EventSource::MAX_POLL_SECONDS).await?;
        if messages.is_empty() {
            continue;
        }
        let event = serde_json::from_value(source.event(&messages))?;
        let answer = function.handle(&event, Duration::from_secs(FUNCTION_TIMEOUT_SECONDS.into())).await;
        source.delete_processed(&messages, &serde_json::to_value(answer)?).await?;
    }
}
