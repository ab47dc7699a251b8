//! One run: the turn, what is planned to go wrong with it, the pictures, the answer.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use base64_simd::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{ImageServer, Server, failure::Failure, request::Request};
use crate::{
    connection::Cutter,
    faults::{Fault, Occasion},
    picture::Caption,
};

/// A GPU has no room for more pixels than this in one request.
const MAX_PIXELS: u64 = 64 * 1024 * 1024;

const OUT_OF_MEMORY: &str = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB of which 1.12 GiB is free.";

/// Answers with the pictures. The run goes on to its end even if the client goes away: nothing interrupts it.
pub(super) async fn answer(server: Arc<Server>, cutter: Cutter, request: Request) -> Response {
    let fault = server.machine.faults.next(Occasion::Request);
    match fault {
        Some(Fault::PlainText { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return (status, "upstream error").into_response();
        }
        Some(Fault::NotJson) => return Html("<html><body>Please wait</body></html>").into_response(),
        Some(Fault::DropBeforeWork) => {
            cutter.cut();
            return StatusCode::OK.into_response();
        }
        _ => {}
    }
    let (kind, stopped) = (server.kind, server.machine.stopped.clone());
    let work = tokio::spawn(async move { stopped.run_until_cancelled_owned(run(&server, request)).await });
    let result = work.await.ok().flatten();
    if fault == Some(Fault::DropAfterWork) {
        cutter.cut();
    }
    match result {
        Some(Ok(body)) => Json(body).into_response(),
        Some(Err(failure)) => failure.answer(kind),
        None => Failure::exception("the run was abandoned").answer(kind),
    }
}

async fn run(server: &Server, request: Request) -> Result<Value, Failure> {
    let _running = server.machine.gpu.acquire(request.prompt.clone()).await;
    let fault = server.machine.faults.next(Occasion::Run);
    match &fault {
        Some(Fault::Exception { message, .. } | Fault::Broken { message, .. }) => {
            return Err(Failure::exception(message.clone()));
        }
        Some(Fault::OutOfMemory) => return Err(Failure::exception(OUT_OF_MEMORY)),
        Some(Fault::Hang) => std::future::pending().await,
        _ => {}
    }
    let (width, height) = request.size;
    if u64::from(width) * u64::from(height) * u64::from(request.n) > MAX_PIXELS {
        return Err(Failure::exception(OUT_OF_MEMORY));
    }
    let mut timer = server.machine.step_timer(f64::from(request.steps));
    for _ in 0..request.steps {
        timer.step(1.0).await;
    }
    let images = match &fault {
        Some(Fault::NoImages) => Vec::new(),
        Some(Fault::InvalidBase64) => vec!["%%% not base64 %%%".to_owned()],
        Some(Fault::OtherFormat(sample)) => vec![BASE64.encode_to_string(sample.bytes())],
        _ => draw(server, &request).await?,
    };
    Ok(body(server.kind, &images, request.size))
}

async fn draw(server: &Server, request: &Request) -> Result<Vec<String>, Failure> {
    let (width, height) = request.size;
    let captions: Vec<Caption> = (0..i64::from(request.n))
        .map(|number| Caption {
            heading: server.machine.name.clone(),
            text: request.prompt.clone(),
            footer: format!("seed {}  {width}x{height}", request.seed.saturating_add(number)),
        })
        .collect();
    let machine = Arc::clone(&server.machine);
    let drawing = move || {
        let encoded = captions.iter().map(|caption| {
            let key = format!("{}\n{}", caption.text, caption.footer);
            let picture = machine.artist.draw(caption, &key, width, height);
            let file = machine.artist.encode_base64(&picture, &[("parameters", &caption.text)])?;
            Ok(String::from_utf8_lossy(&file).into_owned())
        });
        encoded.collect::<Result<Vec<_>, png::EncodingError>>()
    };
    match tokio::task::spawn_blocking(drawing).await {
        Ok(drawn) => drawn.map_err(|error| Failure::exception(error.to_string())),
        Err(error) => Err(Failure::exception(error.to_string())),
    }
}

fn body(kind: ImageServer, images: &[String], (width, height): (u32, u32)) -> Value {
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match kind {
        ImageServer::VllmOmni => {
            let image = |image: &String| json!({ "b64_json": image, "url": null, "revised_prompt": null });
            let data: Vec<Value> = images.iter().map(image).collect();
            json!({ "created": created, "data": data, "output_format": "png", "size": format!("{width}x{height}") })
        }
        ImageServer::SdServer => {
            let data: Vec<Value> = images.iter().map(|image| json!({ "b64_json": image })).collect();
            json!({ "created": created, "data": data, "output_format": "png" })
        }
    }
}
