//! URLs that open objects without credentials.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::{Client, Config};

use super::CloudError;
use super::store::S3;

/// What a URL can be relied on for when its credentials are temporary with an unknown expiry, as in a Lambda function's
/// environment: a role's session lasts an hour unless something else is asked for (AWS STS, `AssumeRole`).
const UNKNOWN: Duration = Duration::from_hours(1);

/// Signs URLs for objects of one bucket, for use at once: all have the same credentials and the same expiry.
#[derive(Debug)]
pub struct UrlSigner {
    client: Client,
    bucket: String,
    credentials: Credentials,
    signed_at: SystemTime,
    lifetime: Duration,
}

impl UrlSigner {
    pub(super) fn new(
        client: Client,
        bucket: String,
        credentials: Credentials,
        url_expiry: Duration,
    ) -> Self {
        // URLs count in whole seconds.
        let signed_at = UNIX_EPOCH + whole_seconds(since(UNIX_EPOCH, SystemTime::now()));
        let lifetime = credentials.expiry().map_or(url_expiry, |end| url_expiry.min(since(signed_at, end)));
        Self { client, bucket, credentials, signed_at, lifetime: whole_seconds(lifetime) }
    }

    /// Until when the URLs can be relied on: the earlier of their own expiry and that of the credentials, as far as it is
    /// known.
    pub fn expires_at(&self) -> SystemTime {
        let is_unknown = self.credentials.expiry().is_none() && self.credentials.session_token().is_some();
        self.signed_at + if is_unknown { self.lifetime.min(UNKNOWN) } else { self.lifetime }
    }

    /// A URL for an object. It is a secret: never logged. Nothing is asked of S3.
    ///
    /// # Errors
    ///
    /// When the lifetime is none that S3 takes (7 days at most).
    pub async fn url(&self, key: &str) -> Result<String, CloudError> {
        let presigning =
            PresigningConfig::builder().start_time(self.signed_at).expires_in(self.lifetime).build();
        let presigning = presigning.map_err(|_| CloudError {
            service: S3,
            action: "presign",
            code: "expiry_out_of_range".to_owned(),
            is_retryable: false,
        })?;
        let call = self.client.get_object().bucket(&self.bucket).key(key).customize();
        let call = call.config_override(Config::builder().credentials_provider(self.credentials.clone()));
        let request =
            call.presigned(presigning).await.map_err(|error| CloudError::new(S3, "presign", &error))?;
        Ok(request.uri().to_owned())
    }
}

/// The time from `start` to `end`, nothing if that is before it.
fn since(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}
