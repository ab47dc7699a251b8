//! Subscriptions of an earlier start on the same folder whose runtime or queue is no longer configured.

use anyhow::Context;
use deployment_config::Config;
use serde_json::Value;

use crate::provision::{Clients, Shared};

/// A queue's subscription to a topic.
struct Subscribed {
    arn: String,
    queue_arn: String,
}

/// Deletes the subscriptions of runtimes and result queues that an earlier configuration had. Subscriptions of users stay,
/// and so do all queues, with their messages.
pub(crate) async fn unsubscribe(clients: &Clients, shared: &Shared, config: &Config) -> anyhow::Result<()> {
    let of_runtimes: Vec<_> =
        config.runtimes.iter().map(|runtime| format!("{}-{}", shared.prefix, runtime.name)).collect();
    for queue in queues_of(clients, &shared.tasks_topic_arn).await? {
        let is_configured = of_runtimes.iter().any(|name| name == queue.name());
        if !is_configured && is_of_a_runtime(clients, &queue).await? {
            delete(clients, &queue).await?;
        }
    }
    let of_results = format!("{}-results-", shared.prefix);
    for queue in queues_of(clients, &shared.completions_topic_arn).await? {
        let results = queue.name().strip_prefix(&of_results);
        if results.is_some_and(|name| !config.subscriptions.queues.iter().any(|queue| queue == name)) {
            delete(clients, &queue).await?;
        }
    }
    Ok(())
}

impl Subscribed {
    fn name(&self) -> &str {
        self.queue_arn.rsplit(':').next().unwrap_or_default()
    }
}

async fn queues_of(clients: &Clients, topic_arn: &str) -> anyhow::Result<Vec<Subscribed>> {
    let mut found = Vec::new();
    let mut pages = clients.sns.list_subscriptions_by_topic().topic_arn(topic_arn).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.context("subscriptions cannot be listed")?;
        let queues = page.subscriptions.unwrap_or_default().into_iter();
        let queues = queues.filter(|subscription| subscription.protocol() == Some("sqs"));
        found.extend(queues.filter_map(|subscription| {
            Some(Subscribed { arn: subscription.subscription_arn?, queue_arn: subscription.endpoint? })
        }));
    }
    Ok(found)
}

/// Whether the redrive policy names the dead-letter queue of a runtime's queue.
async fn is_of_a_runtime(clients: &Clients, queue: &Subscribed) -> anyhow::Result<bool> {
    let response = clients.sns.get_subscription_attributes().subscription_arn(&queue.arn).send().await;
    let attributes = response.context("a subscription cannot be read")?.attributes.unwrap_or_default();
    let redrive =
        attributes.get("RedrivePolicy").and_then(|policy| serde_json::from_str::<Value>(policy).ok());
    Ok(redrive.is_some_and(|policy| policy["deadLetterTargetArn"] == format!("{}-dlq", queue.queue_arn)))
}

async fn delete(clients: &Clients, queue: &Subscribed) -> anyhow::Result<()> {
    let deleted = clients.sns.unsubscribe().subscription_arn(&queue.arn).send().await;
    deleted.with_context(|| format!("the queue {} cannot be unsubscribed", queue.name()))?;
    tracing::info!(queue = queue.name(), "no longer configured, unsubscribed");
    Ok(())
}
