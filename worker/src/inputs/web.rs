//! Inputs by `https` and `http`: each address judged, redirects too, and the body taken within what is left.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderMap, IF_NONE_MATCH, LOCATION, RETRY_AFTER, VARY,
};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::budget::InputBudget;
use super::cache::{Cache, Key, Version};
use super::coding::{Coding, Incoming};
use super::errors::{not_found, refused, unavailable};
use super::guard::{Guard, Passage, Refused};
use super::resolve::{Guarded, Plain, Resolver};
use crate::error::TaskError;
use crate::http;

/// The most redirects that are followed for one input.
const MAX_REDIRECTS: usize = 5;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that a busy server is waited for; the queue waits longer.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Some servers of images refuse clients without a name.
const USER_AGENT: &str = concat!("darkroom/", env!("CARGO_PKG_VERSION"));

/// Fetches from web servers. Sends no credentials but those of the URL itself, no cookies, and nothing of AWS: what an
/// S3 endpoint gives to it, it gives to everybody who can reach it.
#[derive(Debug)]
pub(super) struct Web {
    guard: Guard,
    resolver: Arc<dyn Resolver>,
    clients: OnceLock<Clients>,
}

/// One client for each passage through the guard, so that no connection of one serves the other.
#[derive(Debug)]
struct Clients {
    guarded: Client,
    allowed: Client,
}

impl Web {
    pub(super) fn new(guard: Guard, resolver: Arc<dyn Resolver>) -> Self {
        Self { guard, resolver, clients: OnceLock::new() }
    }

    /// The bytes behind a URL, or behind what it redirects to.
    pub(super) async fn get(
        &self,
        url: &str,
        budget: &InputBudget,
        cache: &Cache,
    ) -> Result<Bytes, TaskError> {
        let mut url = Url::parse(url).map_err(|_| refused("it is not a URL"))?;
        for _ in 0..=MAX_REDIRECTS {
            let passage = self.guard.judge(&url)?;
            let key = Key::Web(passage, url.clone());
            let known = cache.get(&key);
            let response = self.ask(passage, &url, known.as_ref()).await?;
            match (response.status().as_u16(), known) {
                (304, Some(known)) => {
                    budget.take(known.bytes.len() as u64)?;
                    return Ok(known.bytes);
                }
                (301 | 302 | 303 | 307 | 308, _) => url = redirected(&url, &response)?,
                _ => return read(response, key, budget, cache).await,
            }
        }
        Err(refused("it redirects too often"))
    }

    /// Retries once if the server is busy for a moment: that is no failure of the task.
    async fn ask(&self, passage: Passage, url: &Url, known: Option<&Version>) -> Result<Response, TaskError> {
        let response = self.send(passage, url, known).await?;
        let Some(pause) = pause(&response) else { return Ok(response) };
        tokio::time::sleep(pause).await;
        self.send(passage, url, known).await
    }

    async fn send(
        &self,
        passage: Passage,
        url: &Url,
        known: Option<&Version>,
    ) -> Result<Response, TaskError> {
        let clients = self.clients()?;
        let client = match passage {
            Passage::Guarded => &clients.guarded,
            Passage::Allowed => &clients.allowed,
        };
        let mut request = client.get(url.clone());
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, &known.etag);
        }
        request.send().await.map_err(|error| not_connected(&error))
    }

    /// Made when the first input needs them: many workers never fetch one.
    fn clients(&self) -> Result<&Clients, TaskError> {
        if let Some(clients) = self.clients.get() {
            return Ok(clients);
        }
        let guarded = Guarded { guard: self.guard.clone(), resolver: Arc::clone(&self.resolver) };
        let plain = Plain(Arc::clone(&self.resolver));
        let client = || http::client().connect_timeout(CONNECT_TIMEOUT).user_agent(USER_AGENT);
        let not_made = |_| unavailable("the worker's client cannot be made");
        let made = Clients {
            guarded: client().dns_resolver(Arc::new(guarded)).build().map_err(not_made)?,
            allowed: client().dns_resolver(Arc::new(plain)).build().map_err(not_made)?,
        };
        Ok(self.clients.get_or_init(|| made))
    }
}

/// How long a busy server asks its clients to wait, unless that is too long.
fn pause(response: &Response) -> Option<Duration> {
    let is_busy =
        matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|pause| is_busy && *pause <= MAX_PAUSE)
}

fn redirected(from: &Url, response: &Response) -> Result<Url, TaskError> {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let to = location.and_then(|location| from.join(location).ok());
    to.ok_or_else(|| refused("it redirects to no URL"))
}

async fn read(
    mut response: Response,
    key: Key,
    budget: &InputBudget,
    cache: &Cache,
) -> Result<Bytes, TaskError> {
    check_status(response.status())?;
    let etag = validator(&key, response.headers());
    let codings = response.headers().get_all(CONTENT_ENCODING).iter();
    let coding = Coding::named(codings.map(|value| value.to_str().unwrap_or("unreadable")))?;
    let mut body = Incoming::new(budget, response.content_length(), coding)?;
    while let Some(piece) = response.chunk().await.map_err(|_| unavailable("the connection broke"))? {
        body.push(&piece)?;
    }
    let bytes = body.finish()?;
    if let Some(etag) = etag {
        cache.keep(key, Version { etag, bytes: bytes.clone() });
    }
    Ok(bytes)
}

fn check_status(status: StatusCode) -> Result<(), TaskError> {
    let answered = || format!("its server answered {}", status.as_u16());
    match status.as_u16() {
        200 | 203 => Ok(()),
        206 => Err(not_found("its server answered 206, with a part of the file")),
        408 | 425 | 429 | 500.. => Err(unavailable(&answered())),
        _ => Err(not_found(&answered())),
    }
}

/// The validator of an answer that may be cached (RFC 9111, section 3). Only a strong one: of two
/// versions within a second, `Last-Modified` and weak validators may be the same.
fn validator(key: &Key, headers: &HeaderMap) -> Option<String> {
    let has_credentials =
        matches!(key, Key::Web(_, url) if !url.username().is_empty() || url.password().is_some());
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let is_private = directives
        .flat_map(|value| value.split([',', '=']))
        .any(|word| ["no-store", "private"].contains(&word.trim().to_ascii_lowercase().as_str()));
    let varies = headers.get_all(VARY).iter().any(|value| value.as_bytes().contains(&b'*'));
    if has_credentials || is_private || varies {
        return None;
    }
    let etag = headers.get(ETAG)?.to_str().ok()?;
    (etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"')).then(|| etag.to_owned())
}

/// The guard's refusal comes out of the resolver wrapped up in the client's own error.
fn not_connected(error: &reqwest::Error) -> TaskError {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(why) = inner.downcast_ref::<Refused>() {
            return (*why).into();
        }
        cause = inner.source();
    }
    unavailable("its server cannot be reached")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(url: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let key = Key::Web(Passage::Guarded, url.parse().unwrap());
        validator(&key, &HeaderMap::from_iter(headers)).is_some()
    }

    #[test]
    fn only_what_has_a_strong_validator_and_is_for_everybody_is_kept() {
        let url = "https://a.test/x?sig=1";
        assert!(kept(url, &[("etag", "\"v1\"")]));
        assert!(kept(
            url,
            &[("etag", "\"v1\""), ("cache-control", "max-age=0, no-cache"), ("vary", "accept")]
        ));
        assert!(!kept(url, &[]));
        assert!(!kept(url, &[("last-modified", "Wed, 21 Oct 2026 07:28:00 GMT")]));
        assert!(!kept(url, &[("etag", "W/\"v1\"")]));
        assert!(!kept(url, &[("etag", "v1")]));
        assert!(!kept(url, &[("etag", "\"v1\""), ("cache-control", "max-age=60, No-Store")]));
        assert!(!kept(url, &[("etag", "\"v1\""), ("cache-control", "private=\"set-cookie\"")]));
        assert!(!kept(url, &[("etag", "\"v1\""), ("vary", "*")]));
        assert!(!kept("https://user:password@a.test/x", &[("etag", "\"v1\"")]));
    }

    #[test]
    fn a_status_is_final_or_passing() {
        for (status, retryable) in
            [(204, false), (206, false), (304, false), (401, false), (403, false), (404, false), (410, false)]
                .into_iter()
                .chain([(408, true), (425, true), (429, true), (500, true), (503, true)])
        {
            let error = check_status(StatusCode::from_u16(status).unwrap()).unwrap_err();
            assert_eq!(error.is_retryable(), retryable, "{status}");
        }
        assert_eq!(check_status(StatusCode::OK), Ok(()));
    }
}
