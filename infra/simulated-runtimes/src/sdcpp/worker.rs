//! The worker thread: takes one job after the other from the queue. Nothing interrupts it.

use std::sync::Arc;

use base64_simd::STANDARD as BASE64;

use super::{SdCpp, request::Request};
use crate::{
    faults::{Fault, Occasion},
    picture::{self, Caption, Picture},
    samples::Sample,
};

/// What the server says of a job whose generation failed, whatever the reason.
const NO_RESULTS: &str = "generate_image returned no results";

/// Works until the simulation stops.
pub(super) async fn run(server: Arc<SdCpp>) {
    let stopped = server.machine.stopped.clone();
    stopped.run_until_cancelled(work(&server)).await;
}

async fn work(server: &Arc<SdCpp>) {
    loop {
        let Some((id, request)) = server.queue().begin() else {
            server.queued.notified().await;
            continue;
        };
        let turn = server.machine.gpu.acquire(id.clone()).await;
        let outcome = generate(server, request).await;
        drop(turn);
        server.queue().end(&id, outcome);
    }
}

/// The images in base64, or why there are none.
async fn generate(server: &Arc<SdCpp>, request: Request) -> Result<Vec<String>, String> {
    let fault = server.machine.faults.next(Occasion::Run);
    match &fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Exception { message, .. } | Fault::Broken { message, .. }) => return Err(message.clone()),
        Some(Fault::OutOfMemory) => return Err(NO_RESULTS.to_owned()),
        _ => {}
    }
    let steps = request.steps * request.batch_count;
    let mut timer = server.machine.step_timer(f64::from(steps));
    for _ in 0..steps {
        timer.step(1.0).await;
    }
    match fault {
        Some(Fault::NoImages) => return Ok(Vec::new()),
        Some(Fault::InvalidBase64) => {
            return Ok(vec!["not base64!".to_owned(); request.batch_count as usize]);
        }
        _ => {}
    }
    let server = Arc::clone(server);
    let drawing = move || {
        let seeds = (0..i64::from(request.batch_count)).map(|n| request.seed.wrapping_add(n));
        seeds.map(|seed| draw(&server, &request, seed)).collect::<Result<Vec<_>, _>>()
    };
    let drawn = tokio::task::spawn_blocking(drawing).await;
    drawn.unwrap_or_else(|error| Err(error.to_string()))
}

fn draw(server: &SdCpp, request: &Request, seed: i64) -> Result<String, String> {
    match request.output_format.as_str() {
        "jpeg" => return Ok(BASE64.encode_to_string(Sample::Jpeg.bytes())),
        "webp" => return Ok(BASE64.encode_to_string(Sample::Webp.bytes())),
        _ => {}
    }
    let Request { width, height, prompt, .. } = request;
    let infotext = request.infotext(seed, &server.options.model);
    // What goes in is scaled and inverted, if it is a PNG.
    let source = request.init_image.as_deref().and_then(picture::decode);
    let picture = match source {
        Some(source) => Arc::new(Picture::inverted(&source.scaled(*width, *height))),
        None => {
            let caption = Caption {
                heading: format!("{} · {}", server.machine.name, server.options.model),
                text: prompt.clone(),
                footer: format!("seed {seed}  {width}x{height}"),
            };
            server.machine.artist.draw(&caption, &format!("{prompt}\n{seed}"), *width, *height)
        }
    };
    let file = server.machine.artist.encode_base64(&picture, &[("parameters", &infotext)]);
    let file = file.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&file).into_owned())
}
