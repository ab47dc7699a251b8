//! A stand-in for S3: stores what is put, and fails as configured.

use std::future::pending;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::put;

use crate::sns::Mood;

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Put {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The stand-in.
#[derive(Debug, Clone)]
pub(crate) struct S3 {
    mood: Mood,
    puts: Arc<Mutex<Vec<Put>>>,
}

impl S3 {
    pub(crate) fn new(mood: Mood) -> Self {
        Self { mood, puts: Arc::default() }
    }

    /// Its paths.
    pub(crate) fn routes(&self) -> Router {
        let object = put(put_object).layer(DefaultBodyLimit::disable());
        Router::new().route("/{bucket}/{*key}", object).with_state(self.clone())
    }

    /// Every call so far, failed ones included.
    pub(crate) fn puts(&self) -> Vec<Put> {
        self.puts.lock().unwrap().clone()
    }
}

async fn put_object(
    State(s3): State<S3>,
    Path((bucket, key)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    s3.puts.lock().unwrap().push(Put { bucket, key, headers, body });
    match s3.mood {
        Mood::Well => ().into_response(),
        Mood::Failing(status, code, text) => {
            let xml = format!("<Error><Code>{code}</Code><Message>{text}</Message></Error>");
            (StatusCode::from_u16(status).unwrap(), xml).into_response()
        }
        Mood::Silent => pending().await,
    }
}
