//! DynamoDB, on the table that the stack creates.

mod items;
mod persistence;
mod queries;
mod refusals;
mod tables;
mod transactions;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use local_stack::provision::{self, Clients};

use crate::support::{Aws, start};

/// The table of one test.
struct Table {
    aws: Aws,
    client: Client,
    name: String,
}

type Item = HashMap<String, AttributeValue>;

async fn table() -> Table {
    let aws = start().await;
    let clients = Clients::new(&aws.endpoints.url());
    let shared = provision::shared(&clients, "t").await.unwrap();
    Table { aws, client: clients.dynamodb, name: shared.record_table }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// An item of which all attributes are texts.
fn item(attributes: &[(&str, &str)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()
}

/// The key of an item.
fn key(pk: &str) -> Item {
    item(&[("pk", pk)])
}

impl Table {
    async fn put(&self, attributes: &[(&str, &str)]) {
        self.client.put_item().table_name(&self.name).set_item(Some(item(attributes))).send().await.unwrap();
    }

    async fn get(&self, pk: &str) -> Option<Item> {
        let get = self.client.get_item().table_name(&self.name).set_key(Some(key(pk)));
        get.consistent_read(true).send().await.unwrap().item
    }
}
