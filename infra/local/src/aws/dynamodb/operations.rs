//! The operations of the API: reading their parameters, running them, writing their answers.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::Error;
use crate::aws::protocol::Call;

pub(super) fn run(tables: &Database, call: &Call) -> Result<Value, Error> {
    match call.action.as_str() {
        "CreateTable" => answer(call, |input| tables.create_table(input)),
        "DescribeTable" => answer(call, |input| tables.describe_table(input)),
        "DeleteTable" => answer(call, |input| tables.delete_table(input)),
        "ListTables" => answer(call, |input| tables.list_tables(input)),
        "UpdateTimeToLive" => answer(call, |input| tables.update_time_to_live(input)),
        "DescribeTimeToLive" => answer(call, |input| tables.describe_time_to_live(input)),
        "PutItem" => answer(call, |input| tables.put_item(input)),
        "GetItem" => answer(call, |input| tables.get_item(input)),
        "UpdateItem" => answer(call, |input| tables.update_item(input)),
        "DeleteItem" => answer(call, |input| tables.delete_item(input)),
        "Query" => answer(call, |input| tables.query(input)),
        "Scan" => answer(call, |input| tables.scan(input)),
        "BatchGetItem" => answer(call, |input| tables.batch_get_item(input)),
        "TransactWriteItems" => answer(call, |input| tables.transact_write_items(input)),
        other => Err(Error::UnknownOperation(other.to_owned())),
    }
}

fn answer<Input: DeserializeOwned, Output: Serialize>(
    call: &Call,
    operation: impl FnOnce(Input) -> dynoxide::Result<Output>,
) -> Result<Value, Error> {
    let input = Input::deserialize(&call.input).map_err(|error| unreadable(&error.to_string()))?;
    let output = operation(input)?;
    Ok(serde_json::to_value(output).map_err(|error| DynoxideError::InternalServerError(error.to_string()))?)
}

/// Parameters that are not those of the operation. `dynoxide` writes the kind of some errors before the message, as in
/// `VALIDATION:An empty set`; of the others, DynamoDB refuses a value of another JSON type as unreadable.
fn unreadable(error: &str) -> DynoxideError {
    let is_mark = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let (kind, message) = error.split_once(':').filter(|(mark, _)| is_mark(mark)).unwrap_or(("", error));
    if kind.starts_with("SERIALIZATION") || message.starts_with("invalid type") {
        return DynoxideError::SerializationException(message.to_owned());
    }
    DynoxideError::ValidationException(message.to_owned())
}
