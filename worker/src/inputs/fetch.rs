//! Fetches what the fields of a task name, within bounds of address, size, time, type and pixels.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::LOCATION;
use reqwest::{Client, Response};
use shared_schema::ErrorCode;
use shared_schema::content::MediaField;
use shared_schema::image_source::{ImageSource, decode_base64};
use shared_schema::keys;
use url::Url;

use super::Input;
use super::guard::{Guard, Passage};
use crate::cloud::Store;
use crate::cloud::store::ReadError;
use crate::config::Config;
use crate::error::TaskError;
use crate::http;

/// The most redirects that are followed for one input.
const MOST_REDIRECTS: usize = 5;

/// How long a connection may take to open.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Fetches inputs: the one way by which a caller's address makes the worker connect anywhere.
#[derive(Debug, Clone)]
pub struct Fetcher {
    guard: Guard,
    clients: Arc<OnceLock<Clients>>,
    store: Store,
    buckets: Vec<String>,
    timeout: Duration,
    max_pixels: u64,
}

/// One client for each passage through the guard.
#[derive(Debug)]
struct Clients {
    guarded: Client,
    allowed: Client,
}

impl Fetcher {
    /// A fetcher within the bounds of the configuration.
    pub fn new(config: &Config, store: Store) -> Self {
        Self {
            guard: Guard::new(config.input_allow_hosts.clone()),
            clients: Arc::default(),
            store,
            buckets: config.input_s3_buckets.clone(),
            timeout: Duration::from_secs(config.input_timeout_seconds),
            max_pixels: config.input_max_pixels,
        }
    }

    /// Made when the first input needs them: many workers never fetch one.
    fn clients(&self) -> Result<&Clients, TaskError> {
        if let Some(clients) = self.clients.get() {
            return Ok(clients);
        }
        let client = || http::client().connect_timeout(CONNECT_PATIENCE);
        let not_made = |_| unavailable("the worker's client cannot be made");
        let made = Clients {
            guarded: client().dns_resolver(Arc::new(self.guard.clone())).build().map_err(not_made)?,
            allowed: client().build().map_err(not_made)?,
        };
        Ok(self.clients.get_or_init(|| made))
    }

    /// Fetches the input that a field names, of at most `max_bytes`.
    pub async fn fetch(&self, field: &MediaField, max_bytes: u64) -> Result<Input, TaskError> {
        let at = format!("/content{}", field.pointer);
        let source = ImageSource::parse(&field.value)
            .map_err(|error| TaskError::new(ErrorCode::InputRefused, error.to_string()).at_field(&at))?;
        let fetching = async {
            match source {
                ImageSource::Url(url) => self.fetch_url(url, max_bytes).await,
                ImageSource::S3 { bucket, key } => self.read_s3(bucket, key, max_bytes).await,
                ImageSource::Base64(text) => decode(text, max_bytes),
            }
        };
        let bytes = tokio::time::timeout(self.timeout, fetching)
            .await
            .unwrap_or_else(|_| Err(unavailable("the input did not arrive in time")))
            .and_then(|bytes| self.check(field, bytes));
        bytes.map_err(|error| error.at_field(at))
    }

    async fn fetch_url(&self, url: &str, max_bytes: u64) -> Result<Bytes, TaskError> {
        let clients = self.clients()?;
        let mut url = Url::parse(url).map_err(|_| refused("it is not a URL"))?;
        for _ in 0..=MOST_REDIRECTS {
            let client = match self.guard.judge(&url).map_err(|why| refused(&why.to_string()))? {
                Passage::Guarded => &clients.guarded,
                Passage::Allowed => &clients.allowed,
            };
            let response = client.get(url.clone()).send().await.map_err(|error| not_connected(&error))?;
            match response.headers().get(LOCATION).filter(|_| response.status().is_redirection()) {
                Some(location) => {
                    let next = location.to_str().ok().and_then(|location| url.join(location).ok());
                    url = next.ok_or_else(|| refused("it redirects to no URL"))?;
                }
                None => return read_body(response, max_bytes).await,
            }
        }
        Err(refused("it redirects too often"))
    }

    async fn read_s3(&self, bucket: &str, key: &str, max_bytes: u64) -> Result<Bytes, TaskError> {
        if !self.buckets.iter().any(|allowed| allowed == bucket) {
            return Err(refused("its bucket is not one that inputs may come from"));
        }
        if keys::is_reserved(key) {
            return Err(refused("its key is reserved"));
        }
        self.store.read(bucket, key, max_bytes).await.map_err(|error| match error {
            ReadError::TooLarge(max_bytes) => too_large(max_bytes),
            ReadError::Cloud(error) if error.is_not_found() => not_found("the object does not exist"),
            ReadError::Cloud(error) if error.is_retryable => unavailable("the object could not be read"),
            ReadError::Cloud(_) => not_found("the object may not be read; check the worker's role"),
        })
    }

    /// The media type is what the bytes say; images must have a size that the runtime survives.
    fn check(&self, field: &MediaField, bytes: Bytes) -> Result<Input, TaskError> {
        let kind = infer::get(&bytes).filter(|kind| field.media.takes(kind.mime_type()));
        let Some(kind) = kind else {
            return Err(TaskError::new(
                ErrorCode::InputNotMedia,
                format!("the input is not {}", field.media),
            ));
        };
        if let Ok(size) = imagesize::blob_size(&bytes) {
            let pixels = (size.width as u64).saturating_mul(size.height as u64);
            if pixels > self.max_pixels {
                let message = format!("the input has {pixels} pixels, more than {}", self.max_pixels);
                return Err(TaskError::new(ErrorCode::InputTooLarge, message));
            }
        }
        let (content_type, extension) = (kind.mime_type(), kind.extension());
        Ok(Input { pointer: field.pointer.clone(), bytes, content_type, extension })
    }
}

async fn read_body(mut response: Response, max_bytes: u64) -> Result<Bytes, TaskError> {
    let status = response.status();
    if status.is_server_error() || status.as_u16() == 429 {
        return Err(unavailable(&format!("its server answered {}", status.as_u16())));
    }
    if !status.is_success() {
        return Err(not_found(&format!("its server answered {}", status.as_u16())));
    }
    if response.content_length().is_some_and(|length| length > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| unavailable("the connection broke"))? {
        if (body.len() + chunk.len()) as u64 > max_bytes {
            return Err(too_large(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn decode(text: &str, max_bytes: u64) -> Result<Bytes, TaskError> {
    let bytes = decode_base64(text).ok_or_else(|| refused("it is not base64"))?;
    if bytes.len() as u64 > max_bytes { Err(too_large(max_bytes)) } else { Ok(bytes.into()) }
}

/// The guard's refusal comes out of the resolver wrapped up in the client's own error.
fn not_connected(error: &reqwest::Error) -> TaskError {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(why) = inner.downcast_ref::<super::guard::Refused>() {
            return refused(&why.to_string());
        }
        cause = inner.source();
    }
    unavailable("its server cannot be reached")
}

fn refused(why: &str) -> TaskError {
    TaskError::new(ErrorCode::InputRefused, format!("the input may not be fetched: {why}"))
}

fn not_found(why: &str) -> TaskError {
    TaskError::new(ErrorCode::InputNotFound, format!("the input cannot be had: {why}"))
}

fn unavailable(why: &str) -> TaskError {
    TaskError::new(ErrorCode::InputUnavailable, format!("the input could not be fetched: {why}"))
}

fn too_large(max_bytes: u64) -> TaskError {
    TaskError::new(
        ErrorCode::InputTooLarge,
        format!("the input has more than the {max_bytes} bytes left for it"),
    )
}
