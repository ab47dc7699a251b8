//! The Lambda `bootstrap`: wires configuration, logs, AWS and the router together.

use std::process::ExitCode;
use std::time::Duration;

use api_lambda::config::ConfigError;
use api_lambda::{App, Aws, Config, TaskStore, aws, logs, router, trace};
use lambda_http::lambda_runtime::Runtime;
use lambda_http::lambda_runtime::layers::TracingLayer;
use lambda_http::{Adapter, Error};
use task_metrics::Emitter;
use task_traces::Traces;
use tower::util::ThenLayer;
use tracing::Level;

/// How long a sandbox is kept from its next request by the export of its spans.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// One thread: below 1,769 MB a Lambda has less than one vCPU, and a sandbox serves one request at a time.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve(Config::from_vars(|name| std::env::var(name).ok())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "front door stopped");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Result<Config, ConfigError>) -> Result<(), Error> {
    let level = config.as_ref().map_or(Level::INFO, |config| config.log_level);
    tracing::subscriber::set_global_default(logs::subscriber(level, std::io::stdout))?;
    let config = config?;
    let sdk = aws::sdk_config(&config).await;
    let (publisher, store) = (Aws::new(&sdk, &config), TaskStore::new(&sdk, &config));
    let traces = Traces::from_env(trace::SERVICE, sdk.credentials_provider());
    let metrics = Emitter::new(config.metrics_namespace.as_deref(), std::io::stdout());
    let app = App::new(config, publisher).with_store(store).with_traces(traces.clone()).with_metrics(metrics);
    // After the response, and before Lambda can freeze the process until the next request.
    let flushing = ThenLayer::new(move |answered: Result<(), Error>| {
        let traces = traces.clone();
        async move {
            traces.flush(FLUSH_TIMEOUT).await;
            answered
        }
    });
    Runtime::new(Adapter::from(router(app))).layer(flushing).layer(TracingLayer::new()).run().await
}
