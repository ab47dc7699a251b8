//! `/ws`: sends events to clients.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{
        Query, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedSender};
use uuid::Uuid;

use super::{Comfy, information, messages};
use crate::python;

/// The open sockets. Of several sockets with one client id only the newest receives events; the others stay open.
#[derive(Default)]
pub(super) struct Sockets {
    newest: HashMap<String, Socket>,
    silent: Vec<Socket>,
    opened: u64,
    /// The node that runs and the client it runs for: a client that reconnects is sent this.
    pub(super) running: Option<(String, String)>,
}

struct Socket {
    number: u64,
    outbox: UnboundedSender<Message>,
    /// The client has requested previews with metadata.
    metadata: bool,
}

impl Sockets {
    /// Sends to one client, or to all.
    pub(super) fn send(&self, client: Option<&str>, kind: &str, data: &Value) {
        let message = text(kind, data);
        for socket in self.listeners(client) {
            // A socket that is closing receives nothing more.
            let _ = socket.outbox.send(message.clone());
        }
    }

    /// Sends a picture: in a frame of type 4 to those who asked for metadata, in one of type 1 to others.
    pub(super) fn send_picture(
        &self,
        client: Option<&str>,
        plain: &Message,
        with_metadata: Option<&Message>,
    ) {
        for socket in self.listeners(client) {
            let message = with_metadata.filter(|_| socket.metadata).unwrap_or(plain);
            let _ = socket.outbox.send(message.clone());
        }
    }

    /// Drops the connections of one client, or of all.
    pub(super) fn cut(&mut self, client: Option<&str>) {
        match client {
            Some(client) => _ = self.newest.remove(client),
            None => {
                self.newest.clear();
                self.silent.clear();
                self.running = None;
            }
        }
    }

    fn listeners(&self, client: Option<&str>) -> impl Iterator<Item = &Socket> {
        self.newest
            .iter()
            .filter(move |(id, _)| client.is_none_or(|client| client == *id))
            .map(|(_, socket)| socket)
    }

    fn open(&mut self, client: &str, outbox: UnboundedSender<Message>) -> u64 {
        self.opened += 1;
        let socket = Socket { number: self.opened, outbox, metadata: false };
        self.silent.extend(self.newest.insert(client.to_owned(), socket));
        self.opened
    }

    fn close(&mut self, number: u64) {
        self.newest.retain(|_, socket| socket.number != number);
        self.silent.retain(|socket| socket.number != number);
    }
}

fn text(kind: &str, data: &Value) -> Message {
    Message::text(python::dumps(&json!({"type": kind, "data": data})))
}

#[derive(Deserialize)]
pub(super) struct Client {
    #[serde(rename = "clientId", default)]
    id: String,
}

pub(super) async fn connect(
    State(comfy): State<Arc<Comfy>>,
    Query(client): Query<Client>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let id = if client.id.is_empty() { Uuid::new_v4().simple().to_string() } else { client.id };
    upgrade.on_upgrade(move |socket| converse(comfy, socket, id))
}

async fn converse(comfy: Arc<Comfy>, mut socket: WebSocket, client: String) {
    let (outbox, mut inbox) = mpsc::unbounded_channel();
    let number = greet(&comfy, &client, &outbox);
    let replies = outbox.downgrade();
    drop(outbox);
    let mut first = true;
    loop {
        tokio::select! {
            message = inbox.recv() => match message {
                Some(message) => if socket.send(message).await.is_err() { break },
                // Cut: the connection is closed without a closing handshake.
                None => return,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(message))) => {
                    let message: Value = serde_json::from_str(&message).unwrap_or_default();
                    if std::mem::take(&mut first) && message.get("type") == Some(&json!("feature_flags")) {
                        comfy.sockets().negotiate(number, &message);
                        if let Some(outbox) = replies.upgrade() {
                            let _ = outbox.send(text("feature_flags", &information::feature_flags()));
                        }
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
        }
    }
    comfy.sockets().close(number);
}

impl Sockets {
    fn negotiate(&mut self, number: u64, message: &Value) {
        let wanted = message.pointer("/data/supports_preview_metadata").and_then(Value::as_bool);
        for socket in self.newest.values_mut().filter(|socket| socket.number == number) {
            socket.metadata = wanted.unwrap_or_default();
        }
    }
}

/// The first message to a client: the state of the queue and, if its job runs, the node.
fn greet(comfy: &Comfy, client: &str, outbox: &UnboundedSender<Message>) -> u64 {
    let mut status = messages::queue_status(comfy);
    if let Some(data) = status.as_object_mut() {
        data.insert("sid".to_owned(), json!(client));
    }
    let mut sockets = comfy.sockets();
    let _ = outbox.send(text("status", &status));
    if let Some((_, node)) = sockets.running.as_ref().filter(|(running, _)| running == client) {
        let _ = outbox.send(text("executing", &json!({"node": node})));
    }
    sockets.open(client, outbox.clone())
}
