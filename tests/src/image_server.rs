//! A server of images for tasks to name: records requests, redirects, and fails on demand.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// How long a slow image takes.
pub const SLOW: Duration = Duration::from_millis(200);

/// A running image server on loopback.
pub struct ImageServer {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<(String, HeaderMap)>>,
    handlers: Mutex<HashMap<String, Handler>>,
}

type Handler = Arc<dyn Fn(&HeaderMap) -> Response + Send + Sync>;

impl ImageServer {
    /// Starts it on 127.0.0.1.
    pub async fn start() -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts it at that address; port 0 is any.
    pub async fn start_at(address: SocketAddr) -> Self {
        let state = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    /// The URL of something on it: `cat.png`, `missing`, `page.html`, `broken` (500), `to/<url>` (redirects there),
    /// `silent` (never answers), `slow/<anything>` (answers after [`SLOW`]), or a path of [`Self::respond_with`].
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// From now on, this handler answers requests for that path. Returns its URL.
    pub fn respond_with(
        &self,
        path: &str,
        handler: impl Fn(&HeaderMap) -> Response + Send + Sync + 'static,
    ) -> String {
        self.state.handlers.lock().unwrap().insert(path.to_owned(), Arc::new(handler));
        self.url(path)
    }

    /// Redirects that path to a location, which may be anything that fits a header. Returns its URL.
    pub fn redirects(&self, path: &str, status: StatusCode, location: &[u8]) -> String {
        let location = HeaderValue::from_bytes(location).unwrap();
        self.respond_with(path, move |_| (status, [(header::LOCATION, location.clone())]).into_response())
    }

    /// The paths of the requests, in order.
    pub fn requested_paths(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    /// The headers of the requests, in order.
    pub fn headers(&self) -> Vec<HeaderMap> {
        self.state.requests.lock().unwrap().iter().map(|(_, headers)| headers.clone()).collect()
    }
}

/// The picture that most paths yield: a real PNG of 64 x 48 pixels, as ComfyUI wrote it.
pub fn cat() -> Vec<u8> {
    std::fs::read(crate::fixtures::folder().join("comfyui/files/first_out_00001_.png")).unwrap()
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    state.requests.lock().unwrap().push((path.clone(), request.headers().clone()));
    let handler = state.handlers.lock().unwrap().get(&path).cloned();
    if let Some(handler) = handler {
        return handler(request.headers());
    }
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
            Some(url) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, url)]).into_response(),
            None => ([(header::CONTENT_TYPE, "image/png")], cat()).into_response(),
        },
    }
}
