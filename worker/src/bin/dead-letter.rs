//! The Lambda `bootstrap` behind the dead-letter queues: wires configuration, logs, AWS and [`DeadLetters`] together.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use task_traces::Traces;
use worker::config::ConfigError;
use worker::dead_letter::{Config, DeadLetters, SqsEvent};
use worker::{cloud, spans, telemetry};

/// The time that is left for the function's answer: without one, every message is redelivered.
const MARGIN: Duration = Duration::from_secs(1);

/// One thread: the work is waiting for S3 and SNS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let var = |name: &str| std::env::var(name).ok();
    telemetry::init(var);
    match serve(Config::from_vars(var)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "dead-letter function stopped");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Result<Config, ConfigError>) -> Result<(), Error> {
    let config = config?;
    let sdk = cloud::sdk_from_env().await;
    let traces = Traces::from_env(spans::DEAD_LETTERS, sdk.credentials_provider());
    let dead_letters = DeadLetters::new(&sdk, &config).with_traces(traces.clone());
    let handle = async |event: LambdaEvent<SqsEvent>| {
        let time_left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let response = dead_letters.handle(&event.payload, time_left.saturating_sub(MARGIN)).await;
        // Nobody waits for the response, and Lambda may freeze the process after it.
        traces.flush(MARGIN / 2).await;
        Ok::<_, Error>(response)
    };
    lambda_runtime::run(service_fn(handle)).await
}
