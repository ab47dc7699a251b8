//! The Lambda itself: how soon it answers after its start, what it occupies in memory and in its zip.

use std::io::Write;

use anyhow::{Result, ensure};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use integration_tests::binaries;
use integration_tests::lab::Lab;
use integration_tests::runtime_api::RuntimeApi;

use crate::Effort;
use crate::program::Program;
use crate::sample::{Sample, millis};
use crate::table::{Row, Table};

/// An event of a REST API, a `v1alpha2` task for `sdruntime`.
const EVENT: &str = include_str!("../../api-lambda/tests/events/rest-v1alpha2.json");

/// Start, memory and size.
pub(crate) async fn measure(effort: &Effort, table: &mut Table) -> Result<()> {
    let lab = Lab::start().await;
    let runtime = lab.runtime("sdruntime", "sdwebui", String::new(), None, &[]).await;
    let api = RuntimeApi::start().await;
    let variables = variables(&lab, &runtime.name, &api);

    let mut starts = Vec::new();
    for _ in 0..effort.starts {
        let lambda = Program::start("api-lambda", &variables)?;
        invoke(&api).await?;
        starts.push(lambda.started().elapsed());
    }
    let starts = Sample::new(starts)?;
    table.push(
        Row::new("start to first answer, median", millis(starts.median()), "ms")
            .aside(format!("min {:.1}", millis(starts.min())))
            .aim(30.0)
            .predecessor("359 ms (min 262)"),
    );

    let lambda = Program::start("api-lambda", &variables)?;
    for _ in 0..effort.invocations {
        invoke(&api).await?;
    }
    let memory = lambda.memory()?;
    table.push(
        Row::new(format!("resident after {} invocations", effort.invocations), memory.resident, "MB")
            .aside(format!("peak {:.1}", memory.peak))
            .aim(25.0)
            .predecessor("44 MB"),
    );

    let program = std::fs::read(binaries::executable("api-lambda"))?;
    let mut zip = DeflateEncoder::new(Vec::new(), Compression::best());
    zip.write_all(&program)?;
    table.push(
        Row::new("zip: the program, deflated", zip.finish()?.len() as f64 / 1e6, "MB")
            .aside(format!("file {:.1}", program.len() as f64 / 1e6))
            .aim(7.0),
    );
    Ok(())
}

/// What Lambda sets, and what a deployment sets.
fn variables(lab: &Lab, runtime: &str, api: &RuntimeApi) -> Vec<(String, String)> {
    let registry = format!(r#"[{{"name": "{runtime}", "type": "sdwebui"}}]"#);
    [
        ("AWS_LAMBDA_RUNTIME_API", api.address.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", "front-door".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_ENDPOINT_URL", lab.aws.url.clone()),
        ("SNS_TOPIC_ARN", lab.shared.tasks_topic_arn.clone()),
        ("S3_OUTPUT_BUCKET", lab.shared.bucket.clone()),
        ("RUNTIMES", registry),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

async fn invoke(api: &RuntimeApi) -> Result<()> {
    let answer = api.invoke(serde_json::from_str(EVENT)?).await;
    ensure!(
        answer.as_ref().is_ok_and(|answer| answer["statusCode"] == 200),
        "the Lambda answered {answer:?}"
    );
    Ok(())
}
