//! ComfyUI's WebSocket: it tells when to look into the history, and it alone carries the images of `SaveImageWebsocket`.
//!
//! Nothing else depends on it. It may break, stay silent or miss events, which are not repeated after a reconnection.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::task::AbortOnDropHandle;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// ComfyUI sends no pings of its own.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Long enough for a server that stands still while it loads a model.
const SILENT_AT_MOST: Duration = Duration::from_secs(60);
const FIRST_RECONNECTION_AFTER: Duration = Duration::from_millis(500);
const RECONNECTION_AT_LEAST_EVERY: Duration = Duration::from_secs(10);

/// What is worth knowing of the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The job has ended. The history may learn of it a moment later.
    Ended,
    /// A result that is stored nowhere.
    Image(SocketImage),
    /// There is no connection, or not any more; events may have been missed.
    Lost,
}

/// An image that a `SaveImageWebsocket` node sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SocketImage {
    pub(super) node_id: String,
    pub(super) bytes: Bytes,
}

/// Listens to the events of one job until dropped.
pub(super) struct Events {
    events: mpsc::Receiver<Event>,
    carry_results: bool,
    _listener: AbortOnDropHandle<()>,
}

impl Events {
    /// Connects, so that nothing of a job that is queued afterwards is missed. A failure to connect is the first event,
    /// and tried again in the background.
    pub(super) async fn open(
        url: String,
        prompt_id: &str,
        image_nodes: HashSet<String>,
        most_bytes: u64,
    ) -> Self {
        let (sender, events) = mpsc::channel(64);
        let carry_results = !image_nodes.is_empty();
        let listener =
            Listener { url, most_bytes, reader: Reader::new(prompt_id, image_nodes), events: sender };
        let socket = listener.connect().await;
        let listener = AbortOnDropHandle::new(tokio::spawn(listener.listen(socket)));
        Self { events, carry_results, _listener: listener }
    }

    /// Whether some results come over the socket and from nowhere else.
    pub(super) fn carry_results(&self) -> bool {
        self.carry_results
    }

    /// The next event; may be dropped without losing one.
    pub(super) async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

struct Listener {
    url: String,
    most_bytes: u64,
    reader: Reader,
    events: mpsc::Sender<Event>,
}

impl Listener {
    async fn listen(mut self, mut socket: Option<Socket>) {
        let mut pause = FIRST_RECONNECTION_AFTER;
        loop {
            if let Some(socket) = socket.take() {
                self.read(socket).await;
                pause = FIRST_RECONNECTION_AFTER;
            }
            tracing::debug!("no connection to the runtime's websocket");
            if self.events.send(Event::Lost).await.is_err() {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(RECONNECTION_AT_LEAST_EVERY);
            socket = self.connect().await;
        }
    }

    async fn connect(&self) -> Option<Socket> {
        let most = usize::try_from(self.most_bytes).unwrap_or(usize::MAX);
        // The defaults (16 MiB a frame) would break the connection at a large image.
        let config = WebSocketConfig::default().max_frame_size(Some(most)).max_message_size(Some(most));
        let connecting = connect_async_with_config(self.url.as_str(), Some(config), true);
        let (socket, _) = timeout(CONNECT_WITHIN, connecting).await.ok()?.ok()?;
        Some(socket)
    }

    /// Reads until the connection ends, breaks or is silent for too long.
    async fn read(&mut self, mut socket: Socket) {
        let mut last_heard = Instant::now();
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                message = socket.next() => {
                    last_heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.reader.text(&text),
                        Some(Ok(Message::Binary(frame))) => self.reader.binary(&frame),
                        Some(Ok(_)) => None,
                        Some(Err(_)) | None => return,
                    }
                }
                _ = pings.tick() => {
                    let silent = last_heard.elapsed() > SILENT_AT_MOST;
                    if silent || socket.send(Message::Ping(Bytes::new())).await.is_err() {
                        return;
                    }
                    None
                }
            };
            if let Some(event) = event
                && self.events.send(event).await.is_err()
            {
                return;
            }
        }
    }
}

/// Makes events of frames.
struct Reader {
    prompt_id: String,
    image_nodes: HashSet<String>,
    /// The node of `image_nodes` that runs, if one does.
    running: Option<String>,
}

/// As much of a text frame as matters; the rest of its kinds have other fields.
#[derive(Deserialize)]
struct TextFrame {
    #[serde(rename = "type")]
    kind: String,
    data: TextData,
}

#[derive(Deserialize)]
struct TextData {
    /// Some events of other jobs reach every client.
    prompt_id: String,
    #[serde(default)]
    node: Option<String>,
}

impl Reader {
    fn new(prompt_id: &str, image_nodes: HashSet<String>) -> Self {
        Self { prompt_id: prompt_id.to_owned(), image_nodes, running: None }
    }

    fn text(&mut self, text: &str) -> Option<Event> {
        let frame: TextFrame = serde_json::from_str(text).ok()?;
        if frame.data.prompt_id != self.prompt_id {
            return None;
        }
        match (frame.kind.as_str(), frame.data.node) {
            ("executing", Some(node)) => {
                self.running = Some(node).filter(|node| self.image_nodes.contains(node));
                None
            }
            ("executing", None) | ("execution_success" | "execution_error" | "execution_interrupted", _) => {
                self.running = None;
                Some(Event::Ended)
            }
            _ => None,
        }
    }

    /// Binary frames name neither job nor node: they belong to the node that runs. Those of other nodes are previews.
    fn binary(&mut self, frame: &Bytes) -> Option<Event> {
        /// Event 1 (an image), format 2 (PNG), both big-endian.
        const PNG_IMAGE: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 2];
        let node_id = self.running.clone()?;
        frame
            .starts_with(&PNG_IMAGE)
            .then(|| Event::Image(SocketImage { node_id, bytes: frame.slice(PNG_IMAGE.len()..) }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::recording;
    use super::*;

    /// What a reader for the recorded job makes of the recorded text frames.
    fn events_of(name: &str) -> Vec<Event> {
        let recording = recording(name);
        let prompt_id = recording["request"]["body"]["prompt_id"].as_str().unwrap();
        let mut reader = Reader::new(prompt_id, HashSet::new());
        let frames = recording["websocket"].as_array().unwrap().iter();
        frames
            .filter_map(|frame| frame.get("text"))
            .filter_map(|text| reader.text(&text.to_string()))
            .collect()
    }

    #[test]
    fn every_recorded_ending_is_noticed() {
        for name in [
            "images-batch-of-3",
            "cached-repeat",
            "partly-cached-with-previews",
            "execution-error",
            "interrupted",
        ] {
            // Once for its kind, and once for the `executing` without a node, which is the last frame.
            assert_eq!(events_of(name), [Event::Ended, Event::Ended], "{name}");
        }
        assert_eq!(events_of("error-no-outputs"), []);
    }

    #[test]
    fn other_jobs_are_not_heard() {
        let mut reader = Reader::new("mine", HashSet::new());
        assert_eq!(reader.text(r#"{"type":"execution_success","data":{"prompt_id":"theirs"}}"#), None);
        assert_eq!(reader.text(r#"{"type":"executing","data":{"node":null}}"#), None);
        assert_eq!(reader.text(r#"{"type":"crystools.monitor","data":[1]}"#), None);
        assert_eq!(reader.text("not json"), None);
    }

    #[test]
    fn only_png_frames_of_socket_nodes_are_results() {
        let mut reader = Reader::new("mine", HashSet::from(["9".to_owned()]));
        let png = Bytes::from_static(b"\0\0\0\x01\0\0\0\x02\x89PNG");
        let jpeg = Bytes::from_static(b"\0\0\0\x01\0\0\0\x01\xff\xd8");
        assert_eq!(reader.binary(&png), None);

        reader.text(r#"{"type":"executing","data":{"prompt_id":"mine","node":"5"}}"#);
        assert_eq!(reader.binary(&png), None);

        reader.text(r#"{"type":"executing","data":{"prompt_id":"mine","node":"9"}}"#);
        let image = SocketImage { node_id: "9".to_owned(), bytes: Bytes::from_static(b"\x89PNG") };
        assert_eq!(reader.binary(&png), Some(Event::Image(image)));
        assert_eq!(reader.binary(&jpeg), None);
        assert_eq!(reader.binary(&Bytes::from_static(b"\0\0")), None);

        reader.text(r#"{"type":"executing","data":{"prompt_id":"mine","node":null}}"#);
        assert_eq!(reader.binary(&png), None);
    }
}
