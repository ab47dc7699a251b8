//! ComfyUI's WebSocket: it reports progress and when to poll the history, and it alone carries the images of
//! `SaveImageWebsocket`.
//!
//! Nothing else depends on it. It may break, stay silent or miss events, which are not repeated after a reconnection.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::frames::{Event, Reader};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much is read at once, in bytes: that much is zeroed before each read, and nearly all frames are short.
const READ_AT_ONCE: usize = 8 << 10;
/// ComfyUI sends no pings of its own.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Long enough for a server that freezes while it loads a model.
const MAX_SILENT: Duration = Duration::from_secs(60);
const FIRST_RECONNECT_PAUSE: Duration = Duration::from_millis(500);
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(10);

/// Listens to the events of one job until dropped.
pub(super) struct Events {
    events: mpsc::Receiver<Event>,
    carry_results: bool,
    connected: bool,
    _listener: AbortOnDropHandle<()>,
}

impl Events {
    /// Connects, so that nothing of a job that is queued afterwards is missed. A failure to connect is the first event,
    /// and tried again in the background.
    pub(super) async fn open(url: String, reader: Reader, max_bytes: u64) -> Self {
        let (sender, events) = mpsc::channel(64);
        let carry_results = reader.expects_images();
        let listener = Listener { url, max_bytes, reader, events: sender };
        let socket = listener.connect().await;
        let connected = socket.is_some();
        let listener = AbortOnDropHandle::new(tokio::spawn(listener.listen(socket).in_current_span()));
        Self { events, carry_results, connected, _listener: listener }
    }

    /// Whether some results come over the socket and from nowhere else.
    pub(super) fn carry_results(&self) -> bool {
        self.carry_results
    }

    /// Whether a job whose results come over the socket would have no results, since there is none.
    pub(super) fn would_miss_results(&self) -> bool {
        self.carry_results && !self.connected
    }

    /// The next event; may be dropped without losing one.
    pub(super) async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

struct Listener {
    url: String,
    max_bytes: u64,
    reader: Reader,
    events: mpsc::Sender<Event>,
}

impl Listener {
    async fn listen(mut self, mut socket: Option<Socket>) {
        let mut pause = FIRST_RECONNECT_PAUSE;
        loop {
            if let Some(socket) = socket.take() {
                self.read(socket).await;
                pause = FIRST_RECONNECT_PAUSE;
            }
            tracing::debug!("no connection to the runtime's websocket");
            if self.events.send(Event::Lost).await.is_err() {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_RECONNECT_PAUSE);
            socket = self.connect().await;
        }
    }

    async fn connect(&self) -> Option<Socket> {
        let max = usize::try_from(self.max_bytes).unwrap_or(usize::MAX);
        // The defaults (16 MiB a frame) would break the connection at a large image.
        let config = WebSocketConfig::default().max_frame_size(Some(max)).max_message_size(Some(max));
        let config = config.read_buffer_size(READ_AT_ONCE);
        let connecting = connect_async_with_config(self.url.as_str(), Some(config), true);
        let (socket, _) = timeout(CONNECT_TIMEOUT, connecting).await.ok()?.ok()?;
        Some(socket)
    }

    /// Reads until the connection ends, breaks or is silent for too long.
    async fn read(&mut self, mut socket: Socket) {
        let mut last_message = Instant::now();
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                message = socket.next() => {
                    last_message = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.reader.text(&text),
                        Some(Ok(Message::Binary(frame))) => self.reader.binary(&frame),
                        Some(Ok(_)) => None,
                        Some(Err(_)) | None => return,
                    }
                }
                _ = pings.tick() => {
                    let silent = last_message.elapsed() > MAX_SILENT;
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
