//! Waiting for the entries of a run's jobs in the history, which are its only reliable end.

use std::time::Duration;

use shared_schema::ErrorCode;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep};

use super::budget::Budget;
use super::chain;
use super::client::{CallError, Client};
use super::events::Events;
use super::frames::{Block, Event, SocketImage};
use super::handle::Handle;
use super::history::Entry;
use super::queue::Whereabouts;
use super::worker_thread::WorkerThread;
use crate::error::TaskError;
use crate::runtimes::{Place, Progress, RunHandle};

/// How often to look for the job while the socket says nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the last event of a running job counts: until then a look would say no more, and costs both sides CPU time.
const HEARD_FOR: Duration = Duration::from_secs(5);
/// How soon to look for the first time, and again when the socket says that the job has ended; doubled each time.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(25);
/// How often a job is seen to have ended before its last events are no longer waited for.
const LATE_LOOKS: u32 = 4;
/// How many blocked nodes are kept: each turn of a loop may have its own.
const BLOCKS_AT_MOST: usize = 20;
/// How long a runtime may refuse or break connections: longer than a hiccup, shorter than a restart.
const UNREACHABLE_AT_MOST: Duration = Duration::from_secs(10);
/// How long a runtime may leave calls unanswered: it stands still while it loads a model.
const SILENT_AT_MOST: Duration = Duration::from_secs(60);

/// A run that has ended, well or not.
pub(super) struct Finished {
    /// What the history says of it, with all its jobs in one.
    pub(super) entry: Entry,
    /// What came over the socket, in order.
    pub(super) images: Vec<SocketImage>,
    /// The nodes that did not run, as far as the socket said so.
    pub(super) blocks: Vec<Block>,
    /// What is left for the other results.
    pub(super) budget: Budget,
}

/// A run that is followed.
pub(super) struct Follower<'a> {
    pub(super) client: &'a Client,
    pub(super) thread: &'a WorkerThread,
    pub(super) events: &'a mut Events,
    pub(super) progress: &'a Progress,
    /// Whether the socket may not have heard of everything.
    pub(super) is_partly_deaf: bool,
}

/// What came over the socket so far.
struct Heard {
    budget: Budget,
    images: Vec<SocketImage>,
    blocks: Vec<Block>,
    /// Jobs of the run that have begun.
    begun: Vec<String>,
}

impl Follower<'_> {
    /// Waits until the run has ended, and reports through `progress` when it begins, which is whenever the jobs before it have
    /// ended. A run goes on as long as its nodes queue it again; each further job is added to the handle, which is reported.
    pub(super) async fn follow(
        mut self,
        handle: &mut Handle,
        handles: &UnboundedSender<RunHandle>,
    ) -> Result<Finished, TaskError> {
        let budget = Budget::new(self.client.most_bytes);
        let mut heard = Heard { budget, images: Vec::new(), blocks: Vec::new(), begun: Vec::new() };
        let mut entry = self.job(&handle.prompt_id, &mut heard).await?;
        let mut next = 0;
        while entry.is_success() {
            let further = chain::further_jobs(self.client, handle, &heard.begun, self.is_partly_deaf).await;
            if !further.is_empty() {
                handle.queued_again.extend(further);
                // Nobody has to listen.
                handles.send(handle.written()).ok();
            }
            let Some(job) = handle.queued_again.get(next) else { break };
            next += 1;
            entry.continued_by(self.job(job, &mut heard).await?);
        }
        let Heard { budget, images, blocks, .. } = heard;
        Ok(Finished { entry, images, blocks, budget })
    }

    /// Waits for the end of one job. The socket only says when to look; without it, the history is polled.
    async fn job(&mut self, prompt_id: &str, heard: &mut Heard) -> Result<Entry, TaskError> {
        let Self { client, thread, events, progress, is_partly_deaf } = self;
        let (mut ended, mut lost) = (false, false);
        let mut late_looks = 0;
        let mut absences = 0;
        let mut last_answer = Instant::now();
        let mut pause = LOOK_AGAIN_AFTER;
        loop {
            let mut deaf = false;
            tokio::select! {
                Some(event) = events.next() => match event {
                    Event::Image(image) => {
                        heard.budget.take(image.bytes.len())?.forget();
                        heard.images.push(image);
                        continue;
                    }
                    Event::Blocked(block) => {
                        if heard.blocks.len() < BLOCKS_AT_MOST {
                            heard.blocks.push(block);
                        }
                        continue;
                    }
                    Event::BegunAgain(job) => {
                        heard.begun.push(job);
                        (ended, pause) = (true, LOOK_AGAIN_AFTER);
                    }
                    Event::Ended => (ended, pause) = (true, LOOK_AGAIN_AFTER),
                    Event::Lost if events.carry_results() && !ended => return Err(results_lost()),
                    Event::Lost => {
                        (lost, deaf, late_looks) = (true, true, LATE_LOOKS);
                        *is_partly_deaf = true;
                    }
                },
                () = sleep(pause) => {
                    if !lost && !ended && late_looks == 0 && is_heard_of(progress) {
                        pause = HEARD_FOR;
                        continue;
                    }
                    pause = (pause * 2).min(LOOK_EVERY);
                }
            }
            let found = client.find(prompt_id).await;
            if found.is_ok() {
                last_answer = Instant::now();
            }
            match found {
                Ok(Whereabouts::Finished(entry))
                    if ended || late_looks >= LATE_LOOKS && !events.carry_results() =>
                {
                    progress.begins();
                    return Ok(entry);
                }
                // The last events are still on their way.
                Ok(Whereabouts::Finished(_)) => {
                    if late_looks < LATE_LOOKS {
                        pause = LOOK_AGAIN_AFTER;
                    }
                    late_looks += 1;
                }
                // Once may be the moment between queue and history.
                Ok(Whereabouts::Nowhere) if absences == 0 => absences = 1,
                Ok(Whereabouts::Nowhere) => return Err(job_lost()),
                Ok(Whereabouts::Stalled) => {
                    absences = 0;
                    thread.saw_idleness(Instant::now())?;
                }
                Ok(Whereabouts::Pending) => {
                    absences = 0;
                    thread.saw_work();
                    progress.waits();
                    if matches!(progress.place(), Place::Running(_)) {
                        // The run has begun, and its next job waits behind another one.
                        progress.alive();
                    }
                }
                Ok(Whereabouts::Running) => {
                    absences = 0;
                    thread.saw_work();
                    progress.begins();
                    if deaf {
                        // No event says how it goes, so it is given credit, up to the end of the task's time.
                        progress.alive();
                    }
                }
                Err(error) if last_answer.elapsed() > patience_with(&error) => return Err(error.into()),
                Err(CallError::Unreachable) => thread.saw_restart(),
                Err(_) => {}
            }
        }
    }
}

/// Whether the job runs, and an event has said so lately.
fn is_heard_of(progress: &Progress) -> bool {
    let last = *progress.watch().borrow();
    matches!(progress.place(), Place::Running(_)) && last.share.is_some() && last.at.elapsed() < HEARD_FOR
}

fn patience_with(error: &CallError) -> Duration {
    if *error == CallError::Silent { SILENT_AT_MOST } else { UNREACHABLE_AT_MOST }
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
