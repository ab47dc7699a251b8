//! Reading records.

use crate::call;
use crate::item::{self, KEY, task_key};
use crate::{Record, RecordError, Records};

impl Records {
    /// The record of that id, as of now; `None` if there is none.
    ///
    /// # Errors
    /// If the call failed, or the item is no record.
    pub async fn get(&self, id: &str) -> Result<Option<Record>, RecordError> {
        let get = self.client.get_item().table_name(&self.table).key(KEY, task_key(id)).consistent_read(true);
        let found = call::result("get_item", get.send()).await?;
        found.item.map(|item| item::to_record("get_item", item)).transpose()
    }
}
