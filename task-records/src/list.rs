//! Lists of an owner's tasks, newest first.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use shared_schema::RuntimeName;

use crate::call;
use crate::item::{self, Item, KEY, task_key, text};
use crate::table::BY_OWNER;
use crate::{Owner, Record, RecordError, Records, Status};

/// How many records one call examines at most, so that a filter that matches little has a bounded cost.
const MAX_EXAMINED: usize = 500;
/// The most items of one `BatchGetItem` (DynamoDB API reference).
const BATCH: usize = 100;
/// How often the rest of a batch is requested.
const BATCH_ATTEMPTS: u32 = 4;

/// Which tasks a list contains.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In one of these states; all if empty.
    pub statuses: Vec<Status>,
    /// Of this runtime.
    pub runtime: Option<RuntimeName>,
    /// With each of these labels.
    pub labels: Vec<(String, String)>,
    /// Submitted at this time or later.
    pub after: Option<String>,
    /// Submitted before this time.
    pub before: Option<String>,
}

/// The place in a list after which the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// When the last examined task was submitted.
    pub created: String,
    /// Its id.
    pub id: String,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The tasks, newest first.
    pub records: Vec<Record>,
    /// Where the next page begins; `None` on the last page. A page can be short, or empty, and not be the last one.
    pub next: Option<Position>,
}

impl Records {
    /// A page of at most `limit` tasks of an owner that match a filter.
    ///
    /// # Errors
    /// If a call failed, or an item is no record.
    pub async fn list(
        &self,
        owner: &Owner,
        filter: &Filter,
        from: Option<Position>,
        limit: usize,
    ) -> Result<Page, RecordError> {
        let mut records = Vec::new();
        // DynamoDB refuses a range whose end is before its start.
        if filter.after.as_ref().zip(filter.before.as_ref()).is_some_and(|(after, before)| after >= before) {
            return Ok(Page { records, next: None });
        }
        let mut from = from;
        let mut examined = 0;
        loop {
            // Without a filter each record counts; one more shows whether there is another page.
            let wanted = if filter.is_open() { limit + 1 - records.len() } else { BATCH };
            let batch = wanted.min(BATCH).min(MAX_EXAMINED - examined);
            let keys = self.keys(owner, filter, from.as_ref(), batch).await?;
            let is_last = keys.last.is_none();
            examined += keys.positions.len();
            let mut found = self.get_all(&keys.positions).await?;
            for position in keys.positions {
                // A record can be deleted between the two calls.
                if let Some(record) = found.remove(&position.id).filter(|record| filter.matches(record)) {
                    if records.len() == limit {
                        return Ok(Page { records, next: from });
                    }
                    records.push(record);
                }
                from = Some(position);
            }
            if is_last {
                return Ok(Page { records, next: None });
            }
            if examined >= MAX_EXAMINED {
                return Ok(Page { records, next: from });
            }
        }
    }

    async fn keys(
        &self,
        owner: &Owner,
        filter: &Filter,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Keys, RecordError> {
        let mut condition = "#owner = :owner".to_owned();
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_OWNER)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(owner.as_str()));
        // A key condition has one comparison of the sort key. Times have a fixed length, so the bounds of BETWEEN, which
        // includes both, can be open texts: nothing sorts before the empty time of year 0000, or after `~`.
        if filter.after.is_some() || filter.before.is_some() {
            condition += " AND created BETWEEN :after AND :before";
            let after = filter.after.clone().unwrap_or_else(|| "0".to_owned());
            let before = filter.before.clone().unwrap_or_else(|| "~".to_owned());
            query = query
                .expression_attribute_values(":after", text(after))
                .expression_attribute_values(":before", text(before));
        }
        if let Some(Position { created, id }) = from {
            query = query
                .exclusive_start_key(KEY, task_key(id))
                .exclusive_start_key("owner", text(owner.as_str()))
                .exclusive_start_key("created", text(created));
        }
        let query = query.key_condition_expression(condition);
        let found = call::result("query", query.send()).await?;
        let positions = found.items.unwrap_or_default().iter().filter_map(position).collect();
        Ok(Keys { positions, last: found.last_evaluated_key })
    }

    /// The records of those positions, by id. The read is eventually consistent, which costs half.
    async fn get_all(&self, positions: &[Position]) -> Result<HashMap<String, Record>, RecordError> {
        let mut records = HashMap::new();
        let mut rest: Vec<Item> =
            positions.iter().map(|position| Item::from([(KEY.to_owned(), task_key(&position.id))])).collect();
        let mut attempts = 0;
        while !rest.is_empty() {
            if attempts == BATCH_ATTEMPTS {
                return Err(RecordError::throttled("batch_get_item"));
            }
            attempts += 1;
            let keys = KeysAndAttributes::builder().set_keys(Some(rest)).build();
            let keys = keys.map_err(|_| RecordError::unreadable("batch_get_item"))?;
            let batch = self.client.batch_get_item().request_items(&self.table, keys);
            let batch = call::result("batch_get_item", batch.send()).await?;
            for item in batch.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                let record = item::to_record("batch_get_item", item)?;
                records.insert(record.id.clone(), record);
            }
            rest = batch.unprocessed_keys.into_iter().flatten().flat_map(|(_, keys)| keys.keys).collect();
        }
        Ok(records)
    }
}

/// A part of the index.
struct Keys {
    positions: Vec<Position>,
    last: Option<Item>,
}

fn position(item: &Item) -> Option<Position> {
    let text = |name: &str| item.get(name).map(AttributeValue::as_s)?.ok();
    Some(Position { created: text("created")?.clone(), id: text(KEY)?.strip_prefix("task#")?.to_owned() })
}

impl Filter {
    /// Whether it matches each record of the index.
    fn is_open(&self) -> bool {
        self.statuses.is_empty() && self.runtime.is_none() && self.labels.is_empty() && self.before.is_none()
    }

    fn matches(&self, record: &Record) -> bool {
        let is_label = |(name, value): &(String, String)| record.labels.get(name) == Some(value);
        (self.statuses.is_empty() || self.statuses.contains(&record.status))
            && self.runtime.as_ref().is_none_or(|runtime| *runtime == record.runtime)
            && self.labels.iter().all(is_label)
            && self.before.as_ref().is_none_or(|before| record.created < *before)
    }
}
