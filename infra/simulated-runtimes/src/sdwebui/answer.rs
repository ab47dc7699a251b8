//! From an accepted request to its answer, with what can go wrong on the way.

use std::{future::Future, sync::Arc};

use axum::{
    Json,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{WebUi, errors::Failure};
use crate::{
    connection::Cutter,
    faults::{Fault, Occasion},
    job_slot::RunningJob,
};

/// Answers with what `work` yields. The work goes on to its end even if the client goes away.
pub(super) async fn answer(
    webui: &Arc<WebUi>,
    cutter: Cutter,
    work: impl Future<Output = Result<Value, Failure>> + Send + 'static,
) -> Result<Response, Failure> {
    let fault = webui.machine.faults.strike(Occasion::Request);
    match fault {
        Some(Fault::PlainText { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok((status, "upstream error").into_response());
        }
        Some(Fault::NotJson) => return Ok(Html("<html><body>Please wait</body></html>").into_response()),
        Some(Fault::DropBeforeWork) => {
            cutter.cut();
            return Ok(StatusCode::OK.into_response());
        }
        _ => {}
    }
    let died = webui.machine.died.clone();
    let work = tokio::spawn(async move { died.run_until_cancelled_owned(work).await });
    let result = work.await.ok().flatten();
    if fault == Some(Fault::DropAfterWork) {
        cutter.cut();
    }
    match result {
        Some(answer) => answer.map(|body| Json(body).into_response()),
        None => Err(Failure::exception("RuntimeError", "the run was abandoned")),
    }
}

/// An image as it stands in an answer: base64, unless a fault spoils it.
pub(super) fn transport(image: &[u8], fault: Option<&Fault>) -> String {
    match fault {
        Some(Fault::InvalidBase64) => "%%% not base64 %%%".to_owned(),
        Some(Fault::OtherFormat(sample)) => BASE64_STANDARD.encode(sample.bytes()),
        _ => BASE64_STANDARD.encode(image),
    }
}

impl WebUi {
    /// Waits for the runtime. What is planned to go wrong with the run strikes now, or is handed to the caller.
    pub(super) async fn take_turn(&self, label: &str) -> Result<(RunningJob, Option<Fault>), Failure> {
        let job = self.machine.gpu.take(label.to_owned()).await;
        let fault = self.machine.faults.strike(Occasion::Run);
        match fault {
            Some(Fault::Exception { kind, message, .. }) => Err(Failure::Exception { kind, message }),
            Some(Fault::OutOfMemory) => Err(Failure::out_of_memory()),
            Some(Fault::Hang) => std::future::pending().await,
            fault => Ok((job, fault)),
        }
    }
}
