//! Waiting for a queued job's entry in the history, which is its only reliable end.

use std::time::Duration;

use shared_schema::ErrorCode;
use tokio::time::{Instant, sleep};

use super::budget::Budget;
use super::client::{CallError, Client};
use super::events::Events;
use super::frames::{Block, Event, SocketImage};
use super::history::Entry;
use super::queue::Whereabouts;
use super::worker_thread::WorkerThread;
use crate::error::TaskError;
use crate::runtimes::{Place, Progress};

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

/// A job that has ended, well or not.
pub(super) struct Finished {
    /// Its entry in the history.
    pub(super) entry: Entry,
    /// What came over the socket, in order.
    pub(super) images: Vec<SocketImage>,
    /// The nodes that did not run, as far as the socket said so.
    pub(super) blocks: Vec<Block>,
    /// What is left for the other results.
    pub(super) budget: Budget,
}

/// Waits until the job has ended, and reports through `progress` when it begins, which is whenever the jobs before it have
/// ended. The socket only says when to look; without it, the history is polled.
pub(super) async fn follow(
    client: &Client,
    thread: &WorkerThread,
    prompt_id: &str,
    events: &mut Events,
    progress: &Progress,
) -> Result<Finished, TaskError> {
    let budget = Budget::new(client.most_bytes);
    let mut images = Vec::new();
    let mut blocks = Vec::new();
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
                    budget.take(image.bytes.len())?.forget();
                    images.push(image);
                    continue;
                }
                Event::Blocked(block) => {
                    if blocks.len() < BLOCKS_AT_MOST {
                        blocks.push(block);
                    }
                    continue;
                }
                Event::Ended => (ended, pause) = (true, LOOK_AGAIN_AFTER),
                Event::Lost if events.carry_results() && !ended => return Err(results_lost()),
                Event::Lost => (lost, deaf, late_looks) = (true, true, LATE_LOOKS),
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
                return Ok(Finished { entry, images, blocks, budget });
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
    let message = "the connection that carries the images of nodes such as SaveImageWebsocket was lost; SaveImage would keep them";
    TaskError::new(ErrorCode::RuntimeUnavailable, message)
}
