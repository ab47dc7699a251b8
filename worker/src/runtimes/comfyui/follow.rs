//! Waiting for the entries of a run's jobs in the history, which are its only reliable end.

use std::collections::HashSet;
use std::time::Duration;

use shared_schema::ErrorCode;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, timeout};

use super::budget::TransferBudget;
use super::client::{CallError, Client};
use super::events::Events;
use super::frames::{Block, Event, SocketImage};
use super::handle::Handle;
use super::history::Entry;
use super::queue::JobState;
use super::requeue;
use super::worker_thread::WorkerThread;
use crate::error::TaskError;
use crate::runtimes::{JobPhase, Progress, RunHandle};

/// How often to poll the job while the socket sends nothing.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long the last event of a running job is valid: until then a poll would add nothing, and costs both sides CPU time.
const EVENT_VALID_FOR: Duration = Duration::from_secs(5);
/// How soon to poll for the first time, and again when the socket is lost or reports the end of the job; doubled each time.
const FIRST_POLL_AFTER: Duration = Duration::from_millis(25);
/// How long the socket has to be idle before everything sent over it counts as read.
const QUIET_FOR: Duration = Duration::from_millis(25);
/// After how many polls of a finished job its last events are no longer waited for.
const MAX_LATE_POLLS: u32 = 4;
/// How many blocked nodes are kept: each turn of a loop may have its own.
const MAX_BLOCKS: usize = 20;
/// How long a runtime may refuse or break connections: longer than a hiccup, shorter than a restart.
const MAX_UNREACHABLE: Duration = Duration::from_secs(10);
/// How long a runtime may leave calls unanswered: it freezes while it loads a model.
const MAX_SILENT: Duration = Duration::from_secs(60);

/// A run that has finished, successfully or not.
pub(super) struct Finished {
    /// Its entry of the history, with all its jobs in one.
    pub(super) entry: Entry,
    /// What came over the socket, in order.
    pub(super) images: Vec<SocketImage>,
    /// The nodes that did not run, as far as the socket reported them.
    pub(super) blocks: Vec<Block>,
    /// What is left for the other results.
    pub(super) budget: TransferBudget,
}

/// A run that is followed.
pub(super) struct Follower<'a> {
    pub(super) client: &'a Client,
    pub(super) thread: &'a WorkerThread,
    pub(super) events: &'a mut Events,
    pub(super) progress: &'a Progress,
    /// Whether events may have been missed, since there was no connection for a while.
    pub(super) may_have_missed_events: bool,
}

/// What came over the socket so far.
struct Received {
    budget: TransferBudget,
    images: Vec<SocketImage>,
    blocks: Vec<Block>,
    /// The jobs of the run that have begun, in order. The first one counts from the start.
    begun: Vec<String>,
    /// Those that have finished.
    finished: HashSet<String>,
}

impl Received {
    fn take(&mut self, event: Event) -> Result<(), CallError> {
        match event {
            Event::Image(image) => {
                self.budget.take(image.bytes.len())?.forget();
                self.images.push(image);
            }
            Event::Blocked(block) if self.blocks.len() < MAX_BLOCKS => self.blocks.push(block),
            Event::BegunAgain(job) => {
                // The runtime runs one job at a time.
                let before = self.begun.iter().filter(|begun| **begun != job);
                self.finished.extend(before.cloned());
                self.begun.push(job);
            }
            Event::Finished(job) => {
                self.finished.insert(job);
            }
            Event::Blocked(_) | Event::Lost => {}
        }
        Ok(())
    }
}

impl Follower<'_> {
    /// Waits until the run has finished, and reports through `progress` when it begins, which is whenever the jobs before it have
    /// finished. A run goes on as long as its nodes queue it again; each further job is added to the handle, which is reported.
    pub(super) async fn follow(
        mut self,
        handle: &mut Handle,
        handles: &UnboundedSender<RunHandle>,
    ) -> Result<Finished, TaskError> {
        let mut received = Received {
            budget: TransferBudget::new(self.client.max_bytes),
            images: Vec::new(),
            blocks: Vec::new(),
            begun: vec![handle.prompt_id.clone()],
            finished: HashSet::new(),
        };
        let mut entry = self.job(&handle.prompt_id, &mut received).await?;
        let mut next = 0;
        while entry.is_success() {
            let further = self.further_jobs(handle, &mut received).await?;
            if !further.is_empty() {
                handle.queued_again.extend(further);
                // The receiver may be gone.
                handles.send(handle.written()).ok();
            }
            let Some(job) = handle.queued_again.get(next) else { break };
            next += 1;
            entry.continued_by(self.job(job, &mut received).await?);
        }
        let Received { budget, images, blocks, .. } = received;
        Ok(Finished { entry, images, blocks, budget })
    }

    /// The jobs of the run that the handle does not have yet, in order, once all that it has have finished: of those that the
    /// socket reported, of the history, and of the queue.
    ///
    /// The queue is asked first, so that no job leaves it unseen. One that has left it before has begun, and the socket
    /// reported it: the history is queried only when there is a further job, or when events may have been missed.
    async fn further_jobs(
        &mut self,
        handle: &Handle,
        received: &mut Received,
    ) -> Result<Vec<String>, TaskError> {
        let queued = requeue::queued_jobs(self.client, handle).await;
        while let Ok(Some(event)) = timeout(QUIET_FOR, self.events.next()).await {
            self.may_have_missed_events |= event == Event::Lost;
            received.take(event)?;
        }
        let goes_on = received.begun.len() > 1 || !queued.is_empty();
        let finished = match goes_on || self.may_have_missed_events {
            true => requeue::finished_jobs(self.client, handle, self.may_have_missed_events).await,
            false => Vec::new(),
        };
        let begun = received.begun.iter().cloned();
        Ok(requeue::unknown_to(handle, begun.chain(finished).chain(queued)))
    }

    /// Waits for the end of one job. The socket only triggers polls; without it, the history is polled regularly.
    async fn job(&mut self, prompt_id: &str, received: &mut Received) -> Result<Entry, TaskError> {
        let Self { client, thread, events, progress, may_have_missed_events } = self;
        let mut lost = false;
        let mut late_polls = 0;
        let mut absences = 0;
        let mut last_answer = Instant::now();
        let mut pause = FIRST_POLL_AFTER;
        loop {
            if *may_have_missed_events && events.carry_results() && !received.finished.contains(prompt_id) {
                return Err(results_lost());
            }
            let mut lost_just_now = false;
            tokio::select! {
                Some(event) = events.next() => {
                    lost_just_now = event == Event::Lost;
                    let may_be_an_end = matches!(event, Event::Finished(_) | Event::BegunAgain(_));
                    received.take(event)?;
                    if lost_just_now {
                        (lost, late_polls, *may_have_missed_events) = (true, MAX_LATE_POLLS, true);
                    } else if may_be_an_end && received.finished.contains(prompt_id) {
                        pause = FIRST_POLL_AFTER;
                    } else {
                        continue;
                    }
                },
                () = sleep(pause) => {
                    let finished = received.finished.contains(prompt_id);
                    if !lost && !finished && late_polls == 0 && has_recent_event(progress) {
                        pause = EVENT_VALID_FOR;
                        continue;
                    }
                    pause = (pause * 2).min(POLL_INTERVAL);
                }
            }
            let finished = received.finished.contains(prompt_id);
            let found = match finished {
                true => client.find_finished(prompt_id).await,
                false => client.find(prompt_id).await,
            };
            if found.is_ok() {
                last_answer = Instant::now();
            }
            if !lost && !finished && matches!(found, Ok(JobState::Pending | JobState::Running)) {
                // The next event arrives over the socket.
                pause = POLL_INTERVAL;
            }
            match found {
                Ok(JobState::Finished(entry))
                    if finished || late_polls >= MAX_LATE_POLLS && !events.carry_results() =>
                {
                    progress.set_running();
                    // The event of the job's end was missed, so later events may be late, too.
                    *may_have_missed_events |= !finished;
                    return Ok(entry);
                }
                // The last events are still on their way.
                Ok(JobState::Finished(_)) => {
                    if late_polls < MAX_LATE_POLLS {
                        pause = FIRST_POLL_AFTER;
                    }
                    late_polls += 1;
                }
                // Once may be the moment between queue and history.
                Ok(JobState::Unknown) if absences == 0 => absences = 1,
                Ok(JobState::Unknown) => return Err(job_lost()),
                Ok(JobState::Stalled) => {
                    absences = 0;
                    thread.observe_stall(Instant::now())?;
                }
                Ok(JobState::Pending) => {
                    absences = 0;
                    thread.observe_running();
                    progress.set_waiting();
                    if matches!(progress.phase(), JobPhase::Running(_)) {
                        // The run has begun, and its next job waits behind another one.
                        progress.heartbeat();
                    }
                }
                Ok(JobState::Running) => {
                    absences = 0;
                    thread.observe_running();
                    progress.set_running();
                    if lost_just_now {
                        // Events are missing, so this counts as progress, up to the timeout of the run.
                        progress.heartbeat();
                    }
                }
                Err(error) if last_answer.elapsed() > timeout_for(&error) => return Err(error.into()),
                Err(CallError::Unreachable) => thread.observe_restart(),
                Err(_) => {}
            }
        }
    }
}

/// Whether the job runs, by a recent event.
fn has_recent_event(progress: &Progress) -> bool {
    let last = *progress.watch().borrow();
    matches!(progress.phase(), JobPhase::Running(_))
        && last.share.is_some()
        && last.at.elapsed() < EVENT_VALID_FOR
}

fn timeout_for(error: &CallError) -> Duration {
    if *error == CallError::Silent { MAX_SILENT } else { MAX_UNREACHABLE }
}

fn job_lost() -> TaskError {
    let message = "the runtime no longer knows the job: it was restarted, or the job was deleted";
    TaskError::new(ErrorCode::JobLost, message)
}

/// What was sent meanwhile cannot be fetched, and whether anything was is not known.
pub(super) fn results_lost() -> TaskError {
    let message =
        "the connection that carries the images of SaveImageWebsocket was lost; SaveImage would keep them";
    TaskError::new(ErrorCode::RuntimeUnavailable, message)
}
