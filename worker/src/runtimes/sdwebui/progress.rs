//! `GET /progress`: what the server says of the run that it works on, which it does not name.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::client::Client;
use crate::error::TaskError;
use crate::runtimes::Progress;
use crate::runtimes::looks::Looks;

/// Without the preview: making one costs the server time.
const PATH: &str = "progress?skip_current_image=true";

/// Between two runs a server seems idle: it collects its memory, and may load a model, before it says that the next began.
const BETWEEN_RUNS: Duration = Duration::from_millis(500);

/// The time stamp of a server that has not run anything yet.
const NEVER: &str = "0";

/// What the server said.
#[derive(PartialEq)]
struct Look {
    share: f64,
    job: Value,
    job_count: Value,
    job_number: Value,
    step: Value,
    has_ever_run: bool,
}

impl Look {
    async fn at(client: &Client) -> Result<Self, TaskError> {
        let mut answer = client.get(PATH).await?;
        let share = answer["progress"].as_f64().unwrap_or_default();
        let mut state = answer["state"].take();
        let mut field = |name: &str| state.get_mut(name).map(Value::take).unwrap_or_default();
        Ok(Self {
            share,
            job: field("job"),
            job_count: field("job_count"),
            job_number: field("job_no"),
            step: field("sampling_step"),
            has_ever_run: field("job_timestamp") != NEVER,
        })
    }

    /// Whether something runs. The count is -1 until the run has reckoned it, and the share 0 as long.
    fn is_busy(&self) -> bool {
        let counts = |value: &Value| value.as_i64().is_some_and(|count| count != 0);
        let is_named = self.job.as_str().is_some_and(|name| !name.is_empty());
        is_named || counts(&self.job_count) || self.share > 0.0
    }
}

/// Asks whether the server can be reached and offers its API.
pub(super) async fn answers(client: &Client) -> Result<(), TaskError> {
    client.get(PATH).await.map(drop)
}

/// Whether nothing runs. One that has run before is asked twice.
pub(super) async fn is_idle(client: &Client) -> Result<bool, TaskError> {
    let look = Look::at(client).await?;
    if look.is_busy() || !look.has_ever_run {
        return Ok(!look.is_busy());
    }
    sleep(BETWEEN_RUNS).await;
    Ok(!Look::at(client).await?.is_busy())
}

/// Tells how far the run is that the server works on, until dropped. Whatever moves is a sign of life, also where the share
/// stands or starts anew, as between the passes and stages of a run.
pub(super) async fn follow(client: &Client, progress: &Progress, stuck_after: Duration) -> Infallible {
    let (mut last, mut farthest) = (None, 0.0);
    let looks = Looks::new(stuck_after);
    loop {
        looks.next().await;
        // A server that does not tell shows no sign of life.
        if let Ok(look) = Look::at(client).await
            && look.is_busy()
            && last.as_ref() != Some(&look)
        {
            if look.share > farthest {
                farthest = look.share;
                progress.reached(farthest);
            } else {
                progress.alive();
            }
            last = Some(look);
        }
    }
}
