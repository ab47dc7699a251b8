//! Waiting for a queued job's entry in the history, which is its only reliable end.

use std::time::Duration;

use serde_json::Value;
use shared_schema::ErrorCode;
use tokio::time::{Instant, sleep};

use super::client::{CallError, Client, Whereabouts};
use super::events::{Event, Events, SocketImage};
use crate::error::TaskError;

/// How often to look for the job while the socket says nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How soon to look again when the socket says that the job has ended; doubled each time.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(25);
/// How long a runtime may refuse or break connections: longer than a hiccup, shorter than a restart.
const UNREACHABLE_AT_MOST: Duration = Duration::from_secs(10);
/// How long a runtime may leave calls unanswered: it stands still while it loads a model.
const SILENT_AT_MOST: Duration = Duration::from_secs(60);

/// A job that has ended, well or not.
pub(super) struct Finished {
    /// Its entry in the history.
    pub(super) entry: Value,
    /// What came over the socket, in order.
    pub(super) images: Vec<SocketImage>,
}

/// Waits until the job has ended. The socket only says when to look; without it, the history is polled.
pub(super) async fn follow(
    client: &Client,
    prompt_id: &str,
    events: &mut Events,
) -> Result<Finished, TaskError> {
    let mut images = Images { taken: Vec::new(), left: client.most_bytes };
    let mut ended = false;
    let mut absences = 0;
    let mut last_answer = Instant::now();
    let mut pause = LOOK_EVERY;
    loop {
        tokio::select! {
            Some(event) = events.next() => match event {
                Event::Image(image) => {
                    images.add(image)?;
                    continue;
                }
                Event::Ended => (ended, pause) = (true, LOOK_AGAIN_AFTER),
                Event::Lost if events.carry_results() && !ended => return Err(results_lost()),
                Event::Lost => {}
            },
            () = sleep(pause) => pause = (pause * 2).min(LOOK_EVERY),
        }
        let found = client.find(prompt_id).await;
        if found.is_ok() {
            last_answer = Instant::now();
        }
        match found {
            Ok(Whereabouts::Finished(entry)) if ended || !events.carry_results() => {
                return Ok(Finished { entry, images: images.taken });
            }
            // The last images are still on their way.
            Ok(Whereabouts::Finished(_)) => {}
            Ok(Whereabouts::Running | Whereabouts::Pending) => absences = 0,
            // Once may be the moment between queue and history.
            Ok(Whereabouts::Nowhere) if absences == 0 => absences = 1,
            Ok(Whereabouts::Nowhere) => {
                let message = "the runtime no longer knows the job: it was restarted, or the job was deleted";
                return Err(TaskError::new(ErrorCode::JobLost, message));
            }
            Err(error) if last_answer.elapsed() > patience_with(&error) => return Err(error.into()),
            Err(_) => {}
        }
    }
}

fn patience_with(error: &CallError) -> Duration {
    if *error == CallError::Silent { SILENT_AT_MOST } else { UNREACHABLE_AT_MOST }
}

/// The images that came over the socket, bounded in their sum.
struct Images {
    taken: Vec<SocketImage>,
    left: u64,
}

impl Images {
    fn add(&mut self, image: SocketImage) -> Result<(), CallError> {
        let size = image.bytes.len() as u64;
        self.left = self.left.checked_sub(size).ok_or(CallError::TooLarge(self.left))?;
        self.taken.push(image);
        Ok(())
    }
}

/// What was sent meanwhile cannot be fetched, and whether anything was is not known.
fn results_lost() -> TaskError {
    let message =
        "the connection that carries the images of SaveImageWebsocket was lost; SaveImage would keep them";
    TaskError::new(ErrorCode::RuntimeUnavailable, message)
}
