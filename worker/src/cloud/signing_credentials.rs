//! Credentials for signing URLs: a URL stops working when the credentials that signed it expire, whatever its own expiry is.
//!
//! The SDK's cache replaces credentials seconds before they expire. A long `buffer_time` of that cache would not do: of a
//! source whose credentials never last so long (STS gives a web identity one hour, a metadata service the rest of what it
//! has), it would ask before every single URL.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long credentials should last at least: an hour for the reader of a notification, which may arrive minutes later.
const WANTED: Duration = Duration::from_mins(65);

/// How long credentials are used, at most, before the source is asked for others.
const PAUSE: Duration = Duration::from_mins(5);

/// How long the source may take to answer: the read timeout that the SDK has for container credentials.
const PATIENCE: Duration = Duration::from_secs(5);

/// The credentials of a source, kept for as long as they last for what they are to sign.
#[derive(Debug)]
pub(super) struct SigningCredentials {
    source: SharedCredentialsProvider,
    wanted: Duration,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug, Clone)]
struct Kept {
    credentials: Credentials,
    ask_again: SystemTime,
}

impl SigningCredentials {
    /// Credentials of `source` for URLs that are to work for `url_expiry`.
    pub(super) fn new(source: SharedCredentialsProvider, url_expiry: Duration) -> Self {
        Self { source, wanted: url_expiry.min(WANTED), kept: Mutex::new(None) }
    }

    /// Credentials that have not expired. Those at hand if they last for long enough or the source was asked a short while
    /// ago; otherwise those of the source, or those at hand if it has none to give.
    pub(super) async fn get(&self) -> Option<Credentials> {
        self.get_at(SystemTime::now()).await
    }

    async fn get_at(&self, now: SystemTime) -> Option<Credentials> {
        let mut kept = self.kept.lock().await;
        let at_hand = kept.clone().filter(|kept| !left(&kept.credentials, now).is_zero());
        let given = match at_hand {
            Some(at_hand) if !self.is_due(&at_hand, now) => at_hand,
            at_hand => match (self.ask(now).await, at_hand) {
                (Some(credentials), _) => Kept::from(credentials, now),
                (None, Some(at_hand)) => {
                    tracing::warn!(
                        "refreshing the credentials for urls failed, signing with the current ones"
                    );
                    Kept::from(at_hand.credentials, now)
                }
                (None, None) => return None,
            },
        };
        Some(kept.insert(given).credentials.clone())
    }

    /// Credentials without an expiry can be replaced at any time, too.
    fn is_due(&self, kept: &Kept, now: SystemTime) -> bool {
        let is_short = kept.credentials.expiry().is_none() || left(&kept.credentials, now) < self.wanted;
        is_short && now >= kept.ask_again
    }

    async fn ask(&self, now: SystemTime) -> Option<Credentials> {
        let given = timeout(PATIENCE, self.source.provide_credentials()).await.ok()?.ok()?;
        (!left(&given, now).is_zero()).then_some(given)
    }
}

impl Kept {
    /// Of credentials that soon expire, the source may have others soon: the next question comes after half of their time.
    fn from(credentials: Credentials, now: SystemTime) -> Self {
        let pause = PAUSE.min(left(&credentials, now) / 2);
        Self { credentials, ask_again: now + pause }
    }
}

/// For how long credentials are still valid.
fn left(credentials: &Credentials, now: SystemTime) -> Duration {
    match credentials.expiry() {
        Some(expiry) => expiry.duration_since(now).unwrap_or_default(),
        None => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::UNIX_EPOCH;

    use aws_credential_types::provider::{error::CredentialsError, future};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    /// What it gives is named by how often it was asked.
    #[derive(Debug)]
    struct Source {
        asked: Arc<AtomicUsize>,
        gives: Vec<Gives>,
    }

    #[derive(Debug, Clone, Copy)]
    enum Gives {
        Nothing,
        /// Credentials that expire at that minute.
        Until(u64),
        Lasting,
    }
    use Gives::{Lasting, Nothing, Until};

    impl ProvideCredentials for Source {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let n = self.asked.fetch_add(1, Ordering::Relaxed);
            let expiry = match self.gives[n.min(self.gives.len() - 1)] {
                Nothing => {
                    return future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("test")));
                }
                Until(at) => Some(minute(at)),
                Lasting => None,
            };
            let credentials = Credentials::new(format!("{}", n + 1), "secret", None, expiry, "test");
            future::ProvideCredentials::ready(Ok(credentials))
        }
    }

    fn minute(n: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_mins(n)
    }

    /// What signs at each of these minutes, `-` for nothing.
    async fn signing(gives: &[Gives], url_expiry: Duration, minutes: &[u64]) -> String {
        let source = Source { asked: Arc::default(), gives: gives.to_vec() };
        let asked = Arc::clone(&source.asked);
        let signing = SigningCredentials::new(SharedCredentialsProvider::new(source), url_expiry);
        let mut signed = Vec::new();
        for at in minutes {
            let credentials = signing.get_at(minute(*at)).await;
            signed.push(
                credentials.map_or("-".to_owned(), |credentials| credentials.access_key_id().to_owned()),
            );
        }
        format!("{}, asked {}", signed.join(" "), asked.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn credentials_that_last_are_asked_for_once() {
        assert_eq!(signing(&[Until(90)], DAY, &[0, 1, 25]).await, "1 1 1, asked 1");
        let for_short_urls = signing(&[Until(30)], Duration::from_mins(10), &[0, 1, 19]).await;
        assert_eq!(for_short_urls, "1 1 1, asked 1");
    }

    #[tokio::test]
    async fn others_are_asked_for_when_little_more_than_an_hour_is_left_every_five_minutes() {
        let gives = [Until(90), Until(90), Until(90), Until(400)];
        assert_eq!(signing(&gives, DAY, &[0, 25, 26, 28, 31, 35, 36, 300]).await, "1 1 2 2 3 3 4 4, asked 4");
    }

    #[tokio::test]
    async fn others_than_nearly_expired_ones_are_asked_for_sooner() {
        assert_eq!(signing(&[Until(4), Until(400)], DAY, &[0, 1, 2, 10]).await, "1 1 2 2, asked 2");
    }

    #[tokio::test]
    async fn without_an_expiry_they_may_be_replaced() {
        assert_eq!(signing(&[Lasting], DAY, &[0, 4, 5, 9]).await, "1 1 2 2, asked 2");
    }

    #[tokio::test]
    async fn a_source_that_fails_is_spared_while_the_former_ones_are_valid() {
        let gives = [Until(50), Nothing, Until(100)];
        assert_eq!(signing(&gives, DAY, &[0, 5, 6, 10]).await, "1 1 1 3, asked 3");
        assert_eq!(signing(&[Until(50), Nothing], DAY, &[0, 49, 50, 50]).await, "1 1 - -, asked 4");
    }

    #[tokio::test]
    async fn what_has_expired_signs_nothing() {
        assert_eq!(signing(&[Until(9), Until(90)], DAY, &[10, 10]).await, "- 2, asked 2");
    }
}
