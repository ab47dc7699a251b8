//! From an accepted request to its response, faults included.

use std::{future::Future, sync::Arc};

use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{WebUi, errors::Failure};
use crate::{
    connection::Cutter,
    faults::{Fault, Occasion},
    job_slot::RunningJob,
};

/// Responds with the result of `work`, which is completed even if the client disconnects.
pub(super) async fn answer(
    webui: &Arc<WebUi>,
    cutter: Cutter,
    work: impl Future<Output = Result<impl IntoResponse + Send + 'static, Failure>> + Send + 'static,
) -> Result<Response, Failure> {
    let fault = webui.machine.faults.next(Occasion::Request);
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
    let stopped = webui.machine.stopped.clone();
    let work = tokio::spawn(async move { stopped.run_until_cancelled_owned(work).await });
    let result = work.await.ok().flatten();
    if fault == Some(Fault::DropAfterWork) {
        cutter.cut();
    }
    match result {
        Some(answer) => answer.map(IntoResponse::into_response),
        None => Err(Failure::exception("RuntimeError", "the run was abandoned")),
    }
}

/// The response to a generation.
pub(super) struct Generated {
    /// Base64.
    pub(super) images: Vec<Bytes>,
    pub(super) parameters: Map<String, Value>,
    pub(super) info: String,
}

impl IntoResponse for Generated {
    /// Written by hand: base64 needs no escaping, and a benchmark should not measure the search for what does.
    fn into_response(self) -> Response {
        let rest = json!({"parameters": self.parameters, "info": self.info}).to_string();
        let images: usize = self.images.iter().map(|image| image.len() + 3).sum();
        let mut body = Vec::with_capacity(images + rest.len() + 16);
        body.extend_from_slice(br#"{"images":["#);
        for (number, image) in self.images.iter().enumerate() {
            body.extend_from_slice(if number == 0 { br#"""# } else { br#",""# });
            body.extend_from_slice(image);
            body.push(b'"');
        }
        body.extend_from_slice(b"],");
        body.extend_from_slice(rest.trim_start_matches('{').as_bytes());
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// The base64 of an image in a response, unless a fault corrupts it.
pub(super) fn transport(base64: Bytes, fault: Option<&Fault>) -> Bytes {
    match fault {
        Some(Fault::InvalidBase64) => Bytes::from_static(b"%%% not base64 %%%"),
        Some(Fault::OtherFormat(sample)) => BASE64.encode_to_string(sample.bytes()).into(),
        _ => base64,
    }
}

impl WebUi {
    /// Waits for the runtime. The planned fault of the run takes effect now, or is returned to the caller.
    pub(super) async fn take_turn(
        &self,
        job: &'static str,
        label: &str,
    ) -> Result<(RunningJob, Option<Fault>), Failure> {
        let running = self.machine.gpu.acquire(label.to_owned()).await;
        let fault = self.machine.faults.next(Occasion::Run);
        match fault {
            Some(Fault::Exception { kind, message, .. }) => Err(Failure::Exception { kind, message }),
            Some(Fault::Broken { kind, message }) => {
                self.progress().begin(job, 1, 1);
                self.progress().finish(self.dialect);
                Err(Failure::Exception { kind, message })
            }
            Some(Fault::OutOfMemory) => Err(Failure::out_of_memory()),
            Some(Fault::Hang) => {
                // It has started, and ignores interrupts.
                self.progress().begin(job, 1, 1);
                std::future::pending().await
            }
            fault => Ok((running, fault)),
        }
    }
}
