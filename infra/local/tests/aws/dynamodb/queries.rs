use aws_sdk_dynamodb::types::Select;

use super::{Item, Table, item, table, text};

/// One page of an index, newest first: the keys, and where the next page starts.
async fn page(
    table: &Table,
    index: &str,
    partition: (&str, &str),
    start: Option<Item>,
) -> (Vec<Item>, Option<Item>) {
    let (attribute, value) = partition;
    let query = table.client.query().table_name(&table.name).index_name(index);
    let answer = query
        .key_condition_expression("#partition = :value")
        .expression_attribute_names("#partition", attribute)
        .expression_attribute_values(":value", text(value))
        .scan_index_forward(false)
        .limit(2)
        .set_exclusive_start_key(start)
        .send()
        .await
        .unwrap();
    (answer.items.unwrap(), answer.last_evaluated_key)
}

/// All pages of an index, newest first.
async fn pages(table: &Table, index: &str, partition: (&str, &str)) -> Vec<Vec<Item>> {
    let mut pages = Vec::new();
    let mut start = None;
    loop {
        let (items, next) = page(table, index, partition, start).await;
        if !items.is_empty() {
            pages.push(items);
        }
        match next {
            None => return pages,
            next => start = next,
        }
    }
}

#[tokio::test]
async fn the_tasks_of_an_owner_are_listed_newest_first_in_pages() {
    let table = table().await;
    for (pk, owner, created) in
        [("a", "me", "2026-01"), ("b", "you", "2026-02"), ("c", "me", "2026-04"), ("d", "me", "2026-03")]
    {
        table.put(&[("pk", pk), ("owner", owner), ("created", created), ("status", "queued")]).await;
    }
    let of_me = |pk, created| item(&[("pk", pk), ("owner", "me"), ("created", created)]);
    let expected = vec![vec![of_me("c", "2026-04"), of_me("d", "2026-03")], vec![of_me("a", "2026-01")]];
    assert_eq!(pages(&table, "by_owner", ("owner", "me")).await, expected, "only keys are projected");
}

#[tokio::test]
async fn unfinished_tasks_leave_their_index_when_they_finish() {
    let table = table().await;
    for (pk, created) in [("a", "1"), ("b", "2"), ("c", "3")] {
        table.put(&[("pk", pk), ("unfinished", "yes"), ("created", created)]).await;
    }
    table.put(&[("pk", "d"), ("created", "4")]).await;
    let update = table.client.update_item().table_name(&table.name).key("pk", text("b"));
    update.update_expression("REMOVE unfinished").send().await.unwrap();

    let unfinished = ("unfinished", "yes");
    let listed = pages(&table, "unfinished", unfinished).await.concat();
    let of = |pk, created| item(&[("pk", pk), ("unfinished", "yes"), ("created", created)]);
    assert_eq!(listed, [of("c", "3"), of("a", "1")]);
    let (first, _) = page(&table, "unfinished", unfinished, None).await;
    assert_eq!(first.len(), 2);
}

#[tokio::test]
async fn an_index_can_be_limited_to_a_time_and_counted() {
    let table = table().await;
    for (pk, created) in [("a", "1"), ("b", "2"), ("c", "3")] {
        table.put(&[("pk", pk), ("owner", "me"), ("created", created)]).await;
    }
    let query = table.client.query().table_name(&table.name).index_name("by_owner");
    let counted = query
        .key_condition_expression("#owner = :owner AND created >= :since")
        .expression_attribute_names("#owner", "owner")
        .expression_attribute_values(":owner", text("me"))
        .expression_attribute_values(":since", text("2"))
        .select(Select::Count)
        .send()
        .await
        .unwrap();
    assert_eq!(counted.count, 2);
}

#[tokio::test]
async fn a_scan_returns_every_item_in_pages() {
    let table = table().await;
    for pk in ["a", "b", "c"] {
        table.put(&[("pk", pk), ("status", "queued")]).await;
    }
    let pages = table.client.scan().table_name(&table.name).limit(2).into_paginator().items();
    let items: Vec<Item> = pages.send().collect::<Result<_, _>>().await.unwrap();
    let mut keys: Vec<&str> = items.iter().map(|item| item["pk"].as_s().unwrap().as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["a", "b", "c"]);
}
