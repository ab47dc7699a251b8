//! Time to live: items whose time has passed are deleted later, on AWS within days.

use std::time::Duration;

use dynoxide::Database;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The time between two deletions.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// Deletes expired items of all tables, at once and then after each `interval`, until `stop`.
pub(super) async fn delete_expired_items(tables: Database, interval: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let tables = tables.clone();
        match tokio::task::spawn_blocking(move || tables.sweep_ttl()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(items)) => {
                tracing::debug!(items, "expired items deleted");
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "expired items cannot be deleted");
            }
            Err(error) => {
                tracing::warn!(%error, "the deletion of expired items was interrupted");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn input<T: DeserializeOwned>(input: Value) -> T {
        serde_json::from_value(input).unwrap()
    }

    fn put(tables: &Database, item: Value) {
        tables.put_item(input(json!({ "TableName": "tasks", "Item": item }))).unwrap();
    }

    fn exists(tables: &Database, key: &str) -> bool {
        let get = json!({ "TableName": "tasks", "Key": { "pk": { "S": key } } });
        serde_json::to_value(tables.get_item(input(get)).unwrap()).unwrap().get("Item").is_some()
    }

    #[tokio::test]
    async fn items_that_expire_later_are_deleted_too_and_others_stay() {
        let tables = Database::memory().unwrap();
        let table = json!({
            "TableName": "tasks", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        });
        tables.create_table(input(table)).unwrap();
        let setting = json!({ "AttributeName": "expires", "Enabled": true });
        let setting = json!({ "TableName": "tasks", "TimeToLiveSpecification": setting });
        tables.update_time_to_live(input(setting)).unwrap();
        put(&tables, json!({ "pk": { "S": "current" }, "expires": { "N": "99999999999" } }));
        put(&tables, json!({ "pk": { "S": "permanent" } }));

        let stop = CancellationToken::new();
        let interval = Duration::from_millis(10);
        let deletion = tokio::spawn(delete_expired_items(tables.clone(), interval, stop.clone()));
        for key in ["first", "second"] {
            put(&tables, json!({ "pk": { "S": key }, "expires": { "N": "1" } }));
            let deleted = async {
                while exists(&tables, key) {
                    tokio::time::sleep(interval).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), deleted).await.expect("it was not deleted");
        }
        assert!(exists(&tables, "current") && exists(&tables, "permanent"));
        stop.cancel();
        deletion.await.unwrap();
    }
}
