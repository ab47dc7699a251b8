use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use local_stack::aws::EmbeddedAws;
use local_stack::provision::{self, Clients};

use super::{Item, item, key, text};
use crate::support::{folder, persistent};

/// Endpoints on a folder that another process may have used, and the table in it.
struct Persisted {
    endpoints: EmbeddedAws,
    clients: Clients,
    table: String,
}

impl Persisted {
    async fn on(folder: &Path) -> Self {
        let endpoints = EmbeddedAws::start(persistent(folder)).await.unwrap();
        let clients = Clients::new(&endpoints.url());
        let table = provision::shared(&clients, "t").await.unwrap().record_table;
        Self { endpoints, clients, table }
    }

    async fn put(&self, item: Item) {
        let put = self.clients.dynamodb.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.unwrap();
    }

    async fn get(&self, pk: &str) -> Option<Item> {
        let get = self.clients.dynamodb.get_item().table_name(&self.table).set_key(Some(key(pk)));
        get.send().await.unwrap().item
    }
}

#[tokio::test]
async fn items_and_indexes_are_restored() {
    let folder = folder();
    let before = Persisted::on(&folder).await;
    let task = item(&[("pk", "a"), ("owner", "me"), ("created", "2026")]);
    before.put(task.clone()).await;
    before.endpoints.stop().await;

    let after = Persisted::on(&folder).await;
    assert_eq!(after.get("a").await, Some(task.clone()));
    let query = after.clients.dynamodb.query().table_name(&after.table).index_name("by_owner");
    let query =
        query.key_condition_expression("#owner = :owner").expression_attribute_names("#owner", "owner");
    let found = query.expression_attribute_values(":owner", text("me")).send().await.unwrap();
    assert_eq!(found.items, Some(vec![task]));
    let buckets = after.clients.s3.list_buckets().send().await.unwrap().buckets.unwrap();
    let names: Vec<&str> = buckets.iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, ["t-output"], "the folder of tables is no bucket");
}

#[tokio::test]
async fn items_that_expired_meanwhile_are_deleted_at_the_start() {
    let folder = folder();
    let before = Persisted::on(&folder).await;
    for (pk, expires) in [("old", "1"), ("current", "99999999999")] {
        let mut expiring = key(pk);
        expiring.insert("expires".to_owned(), AttributeValue::N(expires.to_owned()));
        before.put(expiring).await;
    }
    before.put(item(&[("pk", "text"), ("expires", "1")])).await;
    assert!(before.get("old").await.is_some(), "an expired item stays until it is deleted");
    before.endpoints.stop().await;

    let after = Persisted::on(&folder).await;
    let deleted = async {
        while after.get("old").await.is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), deleted).await.expect("it was not deleted");
    assert!(after.get("current").await.is_some() && after.get("text").await.is_some());
}

#[tokio::test]
async fn tables_that_cannot_be_read_are_named_and_kept() {
    let folder = folder();
    Persisted::on(&folder).await.endpoints.stop().await;
    let file = folder.join(".tables/dynamodb.sqlite");
    std::fs::write(&file, "this is no database, but it is long enough to be taken for one").unwrap();
    let refused = EmbeddedAws::start(persistent(&folder)).await.unwrap_err().to_string();
    assert!(refused.contains(".tables"), "{refused}");
    assert!(std::fs::read(&file).unwrap().starts_with(b"this is"));
}
