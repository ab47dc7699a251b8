//! A server of images for tasks to name: counts requests, redirects, and misbehaves on demand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

/// How long a slow image takes.
pub const SLOW: Duration = Duration::from_millis(200);

/// A running image server on loopback.
pub struct ImageServer {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Asked,
}

type Asked = Arc<Mutex<Vec<(String, HeaderMap)>>>;

impl ImageServer {
    /// Starts it.
    pub async fn start() -> Self {
        let asked = Asked::default();
        let router = Router::new().route("/{*path}", get(answer)).with_state(Arc::clone(&asked));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    /// The URL of something on it: `cat.png`, `missing`, `page.html`, `broken` (500), `to/<url>` (redirects there),
    /// `silent` (never answers), `slow/<anything>` (answers after [`SLOW`]).
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The paths that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    /// The headers of the requests, in order.
    pub fn headers(&self) -> Vec<HeaderMap> {
        self.asked.lock().unwrap().iter().map(|(_, headers)| headers.clone()).collect()
    }
}

/// The picture that most paths yield: a real PNG of 64 x 48 pixels, as ComfyUI wrote it.
pub fn cat() -> Vec<u8> {
    std::fs::read(crate::fixtures::folder().join("comfyui/files/first_out_00001_.png")).unwrap()
}

async fn answer(State(asked): State<Asked>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    asked.lock().unwrap().push((path.clone(), headers));
    match path.as_str() {
        "page.html" => {
            ([(header::CONTENT_TYPE, "text/html")], "<html><h1>secret</h1></html>").into_response()
        }
        "missing" => StatusCode::NOT_FOUND.into_response(),
        "broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "silent" => std::future::pending().await,
        path if path.starts_with("slow/") => {
            tokio::time::sleep(SLOW).await;
            ([(header::CONTENT_TYPE, "image/png")], cat()).into_response()
        }
        path => match path.strip_prefix("to/") {
            Some(url) => Redirect::temporary(url).into_response(),
            None => ([(header::CONTENT_TYPE, "image/png")], cat()).into_response(),
        },
    }
}
