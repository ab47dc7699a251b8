//! The queue of calls to the server. It processes one call at a time, in the order of their arrival, and its interrupt names none
//! of them: it interrupts the current one.
//!
//! So a call is posted while another one still runs, and the server starts it without a further call. An interrupt may hit another call
//! than the one it was meant for, and an interrupted call is answered with success and an unfinished image. Hence:
//!
//! - Only the first call is interrupted, and only until it is answered; a call behind it waits until it is the first.
//! - Nothing is posted while that goes on.
//! - The result of any other call that was posted then is discarded, and the call posted again.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use task_traces::span::in_current_span;
use tokio::sync::{Mutex, RwLock, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::access::ServerGuard;
use super::client::{Answer, Client};
use super::encoding::Around;
use super::progress::{self, CutShort};
use crate::error::TaskError;
use crate::runtimes::Progress;
use crate::runtimes::interrupt::{interrupted, unless_stopped};

/// How long a `run` waits for the end of its interrupted call. It ends at the next sampling step, or when the decoding of
/// its image does.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause between two interrupts. A run that is only about to begin forgets the first.
const INTERRUPT_PERIOD: Duration = Duration::from_millis(500);

/// A call that any server takes in its turn and works off at once: to enlarge one pixel by nothing.
const SMALLEST_CALL: (&str, &str) = (
    "extra-single-image",
    r#"{"image": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg=="}"#,
);

/// The calls that this worker has posted.
pub(super) struct CallQueue {
    client: Arc<Client>,
    /// How long a run may show no sign of life.
    stuck_after: Duration,
    /// Held by the call that is to be answered next. Fair, as the server is: calls get it in the order of posting.
    front: Arc<Mutex<()>>,
    /// How many calls the server has yet to answer.
    posted: watch::Sender<usize>,
    /// How many interruptions there were; locked for writing during each.
    interruptions: RwLock<u64>,
    /// Abandoned calls that the server has yet to answer.
    abandoned: TaskTracker,
}

/// A call to make.
pub(super) struct Call {
    pub(super) path: &'static str,
    pub(super) body: Bytes,
    /// Held until the server has answered.
    pub(super) guard: ServerGuard,
    /// What is set in the server for this call only.
    pub(super) around: Option<Around>,
    /// Whether the server makes its images one batch after the other.
    pub(super) has_batches: bool,
    pub(super) stop: CancellationToken,
    pub(super) progress: Progress,
}

/// The answer of a call.
#[derive(Debug)]
pub(super) struct Completed {
    pub(super) answer: Answer,
    /// The runs that somebody else interrupted meanwhile.
    pub(super) cut_short: CutShort,
}

/// How a run is polled.
struct Following {
    progress: Progress,
    has_batches: bool,
}

/// A call among those that the server has yet to answer, until dropped.
struct Posted<'a>(&'a watch::Sender<usize>);

impl<'a> Posted<'a> {
    fn among(all: &'a watch::Sender<usize>) -> Self {
        all.send_modify(|posted| *posted += 1);
        Self(all)
    }
}

impl Drop for Posted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|posted| *posted -= 1);
    }
}

type Reply = oneshot::Sender<Result<Completed, TaskError>>;

impl CallQueue {
    pub(super) fn new(client: Arc<Client>, stuck_after: Duration) -> Self {
        Self {
            client,
            stuck_after,
            front: Arc::default(),
            posted: watch::Sender::new(0),
            interruptions: RwLock::default(),
            abandoned: TaskTracker::new(),
        }
    }

    /// Submits the call and returns its answer. Servers continue a call whose client has disconnected: a future that is merely
    /// dropped leaves the generation running, only `stop` ends it.
    pub(super) async fn submit(self: &Arc<Self>, call: Call) -> Result<Completed, TaskError> {
        let (reply, answer) = oneshot::channel();
        // A task of its own: the call keeps its place until the server has answered it, even if the caller stopped waiting.
        tokio::spawn(in_current_span(Arc::clone(self).drive(call, reply)).in_current_span());
        answer.await.unwrap_or_else(|_| Err(interrupted()))
    }

    /// Applies the settings of the call, and restores them when the server has answered, even if the caller stopped waiting.
    async fn drive(self: Arc<Self>, call: Call, reply: Reply) {
        let Call { path, body, guard, around, has_batches, stop, progress } = call;
        let following = Following { progress, has_batches };
        let begun = match &around {
            Some(around) => unless_stopped(&stop, around.begin(&self.client)).await,
            None => Ok(()),
        };
        match begun {
            Ok(()) => self.until_answered(path, body, stop, following, reply).await,
            Err(error) => drop(reply.send(Err(error))),
        }
        if let Some(around) = around {
            around.end(&self.client).await;
        }
        drop(guard);
    }

    async fn until_answered(
        &self,
        path: &str,
        body: Bytes,
        stop: CancellationToken,
        following: Following,
        reply: Reply,
    ) {
        let _posted = Posted::among(&self.posted);
        loop {
            let posting = self.interruptions.read();
            let Some(before) = stop.run_until_cancelled(posting).await.map(|count| *count) else {
                reply.send(Err(interrupted())).ok();
                return;
            };
            let cut_short = CutShort::default();
            let mut answer = pin!(self.client.generate(path, body.clone(), &stop));
            let mut front = pin!(self.front.lock());
            let result = tokio::select! {
                biased;
                result = &mut answer => result,
                _front = &mut front => tokio::select! {
                    biased;
                    result = &mut answer => result,
                    () = stop.cancelled() => return self.abandon(answer, reply).await,
                    never = self.follow(&following, &cut_short) => match never {},
                },
                () = stop.cancelled() => {
                    let _given_up = self.abandoned.token();
                    reply.send(Err(interrupted())).ok();
                    tokio::select! {
                        biased;
                        _ = &mut answer => {}
                        _front = &mut front => self.interrupt_until(answer).await,
                    }
                    return;
                }
            };
            let is_success = result.as_ref().is_ok_and(|answer| answer.status.is_success());
            if !is_success || self.interruptions.try_read().is_ok_and(|count| *count == before) {
                // Where another call waited, its run has begun, and the server speaks of that one.
                let is_followed = *self.posted.borrow() > 1;
                if is_success && !(is_followed && cut_short.can_be_seen()) {
                    cut_short.poll_once_more(&self.client).await;
                }
                reply.send(result.map(|answer| Completed { answer, cut_short })).ok();
                return;
            }
            tracing::warn!("rerunning the task: the interrupt of another one may have hit it");
        }
    }

    async fn follow(&self, following: &Following, cut_short: &CutShort) -> Infallible {
        let Following { progress, has_batches } = following;
        let posted = self.posted.subscribe();
        progress::follow(&self.client, progress, self.stuck_after, cut_short, *has_batches, posted).await
    }

    /// Interrupts the first call. Continues after the reply, if the call does not end in time.
    async fn abandon(&self, answer: impl Future, reply: Reply) {
        let _given_up = self.abandoned.token();
        let mut interrupting = pin!(self.interrupt_until(answer));
        let has_ended = timeout(INTERRUPT_TIMEOUT, &mut interrupting).await.is_ok();
        reply.send(Err(interrupted())).ok();
        if !has_ended {
            tracing::warn!("the runtime does not stop");
            interrupting.await;
        }
    }

    /// Interrupts the current run until the first call, which is `end`, is answered.
    async fn interrupt_until(&self, end: impl Future) {
        let mut end = pin!(end);
        let mut interruptions = self.interruptions.write().await;
        *interruptions += 1;
        loop {
            // Each is waited for: one that is still on its way when the call returns would hit the next run.
            if let Err(error) = self.client.interrupt().await {
                tracing::debug!(%error, "interrupting the runtime failed");
            }
            if timeout(INTERRUPT_PERIOD, &mut end).await.is_ok() {
                return;
            }
        }
    }

    /// Whether the server has only the runs that this process waits for. A run of another process
    /// is interrupted.
    pub(super) async fn interrupt_orphans(self: &Arc<Self>) -> Result<bool, TaskError> {
        if !self.abandoned.is_empty() {
            return Ok(false);
        }
        let Ok(front) = Arc::clone(&self.front).try_lock_owned() else {
            return Ok(true);
        };
        if progress::is_idle(&self.client).await? {
            return Ok(true);
        }
        tracing::warn!("interrupting an orphaned run");
        // Servers name a run that failed while it enlarged an image for as long as no other begins. An answer in turn tells
        // the end of whatever was before.
        let (path, body) = SMALLEST_CALL;
        let queue = Arc::clone(self);
        let interrupting = async move {
            let _front = front;
            let never = CancellationToken::new();
            queue.interrupt_until(queue.client.generate(path, body.into(), &never)).await;
        };
        self.abandoned.spawn(interrupting.in_current_span());
        Ok(false)
    }
}
