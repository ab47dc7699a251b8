//! The Lambda `bootstrap` behind the dead-letter queues: wires configuration, logs, AWS and [`DeadLetters`] together.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use worker::config::ConfigError;
use worker::dead_letter::{Config, DeadLetters, SqsEvent};
use worker::{cloud, telemetry};

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
    let dead_letters = DeadLetters::new(&cloud::sdk_from_env().await, &config);
    let handle = async |event: LambdaEvent<SqsEvent>| {
        let time_left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        Ok::<_, Error>(dead_letters.handle(&event.payload, time_left.saturating_sub(MARGIN)).await)
    };
    lambda_runtime::run(service_fn(handle)).await
}
