//! Messages of errors in the log, without what they quote of a task: runtimes echo prompts and addresses. The notification and the
//! `.out` file, which are the caller's, have the whole message.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};
use shared_schema::Task;

/// So many bytes in common with the task are a quotation. Shorter texts, such as the name of a sampler, stay.
const QUOTATION: usize = 12;

/// The message up to what it quotes of the task's content. The names of these models, and of node classes, stay: an operator needs them.
pub(crate) fn loggable<'m>(message: &'m str, task: &Task, models: &[String]) -> Cow<'m, str> {
    let mut search = Search::new(message);
    search.object(&task.content, models);
    search.loggable()
}

/// The message up to what it quotes of a text: of a task that has not been read.
pub(crate) fn loggable_by_text<'m>(message: &'m str, text: &str) -> Cow<'m, str> {
    let mut search = Search::new(message);
    search.text(text);
    search.loggable()
}

/// The message with the queries of addresses left out, which may sign them.
fn without_queries(message: &str) -> Cow<'_, str> {
    if !message.contains("://") {
        return Cow::Borrowed(message);
    }
    let word = |word: &str| {
        let query = word.find("://").and_then(|at| Some(at + word[at..].find('?')?));
        let space = word.len() - word.trim_end().len();
        query
            .map_or_else(|| word.to_owned(), |at| format!("{}?…{}", &word[..at], &word[word.len() - space..]))
    };
    Cow::Owned(message.split_inclusive(char::is_whitespace).map(word).collect())
}

/// The windows of a message that occur in a task. One pass over the task, however large its images are.
struct Search<'m> {
    message: &'m str,
    windows: HashSet<&'m [u8]>,
    found: HashSet<&'m [u8]>,
}

impl<'m> Search<'m> {
    fn new(message: &'m str) -> Self {
        Self { message, windows: message.as_bytes().windows(QUOTATION).collect(), found: HashSet::new() }
    }

    fn loggable(&self) -> Cow<'m, str> {
        let mut windows = self.message.as_bytes().windows(QUOTATION);
        match windows.position(|window| self.found.contains(window)) {
            None => without_queries(self.message),
            Some(at) => {
                let kept = &self.message[..self.message.floor_char_boundary(at)];
                Cow::Owned(format!("{}… (the rest quotes the task)", without_queries(kept)))
            }
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, models: &[String]) {
        for (name, value) in fields {
            // The nodes of a workflow have names of the caller's choice, the fields of a request do not.
            if value.get("class_type").is_some() {
                self.text(name);
            }
            if name != "class_type" {
                self.value(value, models);
            }
        }
    }

    fn value(&mut self, value: &Value, models: &[String]) {
        match value {
            Value::String(text) if !models.contains(text) => self.text(text),
            Value::Array(items) => items.iter().for_each(|item| self.value(item, models)),
            Value::Object(fields) => self.object(fields, models),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        for window in text.as_bytes().windows(QUOTATION) {
            if let Some(window) = self.windows.get(window) {
                self.found.insert(window);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn task(content: &Value) -> Task {
        let task =
            json!({ "metadata": { "id": "t", "runtime": "r", "tasktype": "pipeline" }, "content": content });
        serde_json::from_value(task).unwrap()
    }

    #[test]
    fn a_message_ends_where_it_quotes_the_task() {
        let task = task(&json!({
            "prompt": "a photograph of my house",
            "steps": 20,
            "sampler": "DPM++ 2M",
            "nested": [{ "url": "https://example.com/a.png?X-Amz-Signature=secret" }],
            "model": "not-there.safetensors",
            "1": { "class_type": "CheckpointLoaderSimple", "inputs": {} },
        }));
        let models = ["not-there.safetensors".to_owned()];
        for (message, logged) in [
            ("the runtime failed: out of memory", None),
            ("Sampler not found: DPM++ 2M", None),
            ("no such model: not-there.safetensors", None),
            ("node 1 is of the class CheckpointLoaderSimple", None),
            ("KeyError: 'a photograph of my house'", Some("KeyError: '")),
            ("refused: 猫 photograph of my dog", Some("refused: 猫")),
            ("GET https://example.com/a.png?X-Amz-Signature=secret", Some("GET ")),
        ] {
            let expected =
                logged.map_or(message.to_owned(), |text| format!("{text}… (the rest quotes the task)"));
            assert_eq!(loggable(message, &task, &models), expected);
        }
    }

    #[test]
    fn the_queries_of_addresses_are_left_out() {
        let task = task(&json!({}));
        let message = "GET http://x/a?k=1 and 'https://y/?X-Amz-Signature=s', what? gave 403";
        let logged = "GET http://x/a?… and 'https://y/?… what? gave 403";
        assert_eq!(loggable(message, &task, &[]), logged);
    }

    proptest! {
        #[test]
        fn no_quotation_is_left(prompt in ".{12,60}", before in ".{0,40}", after in ".{0,40}", cut in 12_usize..60) {
            let quoted = &prompt[..prompt.floor_char_boundary(cut)];
            prop_assume!(quoted.len() >= QUOTATION);
            let message = format!("{before}{quoted}{after}");
            let logged = loggable(&message, &task(&json!({ "prompt": prompt })), &[]).into_owned();
            prop_assert!(!logged.contains(quoted), "{logged}");
        }
    }
}
