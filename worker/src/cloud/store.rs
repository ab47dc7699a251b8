//! The bucket: results in, presigned URLs out; and reading inputs by `s3://`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use url::{Host, Url};

use super::CloudError;

const S3: &str = "s3";

/// The bucket for results.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    bucket: String,
    url_expiry: Duration,
    credentials_expire: Arc<Mutex<Option<SystemTime>>>,
    /// What is sent can only be spoilt by accident, which its CRC tells.
    nobody_between: bool,
}

/// A URL that opens an object without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    /// The URL. It is a secret: never logged.
    pub url: String,
    /// When it stops working: the earlier of its own expiry and that of the credentials that signed it.
    pub expires_at: SystemTime,
}

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The call failed.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// It has more bytes than asked for.
    #[error("the object has more than {0} bytes")]
    TooLarge(u64),
}

impl Store {
    /// The bucket of that name. URLs are signed for `url_expiry`.
    pub fn new(sdk: &SdkConfig, bucket: &str, url_expiry: Duration) -> Self {
        let credentials_expire = Arc::default();
        let mut conf = aws_sdk_s3::config::Builder::from(sdk)
            // Any other endpoint than AWS's own is reached by path: `bucket.127.0.0.1` is no host.
            .force_path_style(sdk.endpoint_url().is_some())
            .request_checksum_calculation(RequestChecksumCalculation::WhenSupported);
        if let Some(inner) = sdk.credentials_provider() {
            conf =
                conf.credentials_provider(RememberExpiry { inner, expire: Arc::clone(&credentials_expire) });
        }
        Self {
            client: Client::from_conf(conf.build()),
            bucket: bucket.to_owned(),
            url_expiry,
            credentials_expire,
            nobody_between: is_private(sdk.endpoint_url()),
        }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Stores an object, in place of any that has its key. Each GET of it, by a presigned URL too, returns these headers.
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
        disposition: Option<&str>,
    ) -> Result<(), CloudError> {
        let call = self.client.put_object().bucket(&self.bucket).key(key).content_type(content_type);
        let call = call.set_content_disposition(disposition.map(str::to_owned));
        let call = call.body(ByteStream::from(bytes)).customize();
        // A signature over the bytes costs a SHA-256 of all of them; the checksum, which is signed, is 30 times as fast.
        let call = if self.nobody_between { call.disable_payload_signing() } else { call };
        call.send().await.map(drop).map_err(|error| CloudError::new(S3, "put", &error))
    }

    /// Stores an object unless there is one of that key; then the error says so ([`CloudError::exists`]).
    pub async fn put_new(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<(), CloudError> {
        let call = self.client.put_object().bucket(&self.bucket).key(key).content_type(content_type);
        let sent = call.if_none_match("*").body(ByteStream::from(bytes)).send().await;
        sent.map(drop).map_err(|error| CloudError::new(S3, "put", &error))
    }

    /// Whether there is an object of that key. S3 says "forbidden" of a missing one to who may not list the bucket.
    pub async fn has(&self, key: &str) -> Result<bool, CloudError> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(_) => Ok(true),
            Err(error) => match CloudError::new(S3, "head", &error) {
                error if error.is_not_found() => Ok(false),
                error => Err(error),
            },
        }
    }

    /// Begins to read an object from any bucket, unless its ETag is still the one that is known.
    pub async fn open(&self, bucket: &str, key: &str, known: Option<&str>) -> Result<Opened, CloudError> {
        let call =
            self.client.get_object().bucket(bucket).key(key).set_if_none_match(known.map(str::to_owned));
        match call.send().await {
            Ok(object) => Ok(Opened::Object(object.into())),
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 304) => {
                Ok(Opened::Unchanged)
            }
            Err(error) => Err(CloudError::new(S3, "get", &error)),
        }
    }

    /// Reads an object of at most `max_bytes` from any bucket.
    pub async fn read(&self, bucket: &str, key: &str, max_bytes: u64) -> Result<Bytes, ReadError> {
        let call = self.client.get_object().bucket(bucket).key(key);
        let object = call.send().await.map_err(|error| CloudError::new(S3, "get", &error))?;
        collect(object.into(), max_bytes).await
    }

    /// Reads the last `bytes` of an object of the bucket.
    pub async fn read_end(&self, key: &str, bytes: u64) -> Result<Bytes, ReadError> {
        let call = self.client.get_object().bucket(&self.bucket).key(key).range(format!("bytes=-{bytes}"));
        let object = call.send().await.map_err(|error| CloudError::new(S3, "get", &error))?;
        collect(object.into(), bytes).await
    }

    /// Signs a URL for an object. Nothing is asked of S3.
    pub async fn presign(&self, key: &str) -> Result<PresignedUrl, CloudError> {
        let not_signed = |code: &str| CloudError {
            service: S3,
            action: "presign",
            code: code.to_owned(),
            is_retryable: false,
        };
        let config =
            PresigningConfig::expires_in(self.url_expiry).map_err(|_| not_signed("expiry_out_of_range"))?;
        let signed_at = SystemTime::now();
        let call = self.client.get_object().bucket(&self.bucket).key(key);
        let request = call.presigned(config).await.map_err(|error| CloudError::new(S3, "presign", &error))?;
        let own = signed_at + self.url_expiry;
        let credentials = *self.credentials_expire.lock().unwrap_or_else(PoisonError::into_inner);
        let expires_at = credentials.map_or(own, |credentials| own.min(credentials));
        Ok(PresignedUrl { url: request.uri().to_owned(), expires_at })
    }
}

/// Whether nobody on the way to the endpoint can change what is sent: TLS prevents it, or there is no way. AWS's own
/// endpoints speak TLS.
fn is_private(endpoint: Option<&str>) -> bool {
    let Some(url) = endpoint.and_then(|endpoint| Url::parse(endpoint).ok()) else { return true };
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || is_loopback
}

async fn collect(mut object: Object, max_bytes: u64) -> Result<Bytes, ReadError> {
    if object.length.is_some_and(|length| length > max_bytes) {
        return Err(ReadError::TooLarge(max_bytes));
    }
    let mut read = BytesMut::new();
    while let Some(chunk) = object.chunk().await? {
        if (read.len() + chunk.len()) as u64 > max_bytes {
            return Err(ReadError::TooLarge(max_bytes));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read.freeze())
}

/// What became of opening an object.
#[derive(Debug)]
pub enum Opened {
    /// It is being read.
    Object(Object),
    /// It still has the ETag that is known.
    Unchanged,
}

/// An object that is being read.
#[derive(Debug)]
pub struct Object {
    /// The ETag of what is read, in its quotes.
    pub etag: Option<String>,
    /// How many bytes it has.
    pub length: Option<u64>,
    /// Its `Content-Encoding`.
    pub encoding: Option<String>,
    body: ByteStream,
}

impl From<GetObjectOutput> for Object {
    fn from(object: GetObjectOutput) -> Self {
        let length = object.content_length.map(i64::unsigned_abs);
        Self { etag: object.e_tag, length, encoding: object.content_encoding, body: object.body }
    }
}

impl Object {
    /// The next bytes of it; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, CloudError> {
        let broken = |_| CloudError {
            service: S3,
            action: "get",
            code: "connection_failed".to_owned(),
            is_retryable: true,
        };
        self.body.next().await.transpose().map_err(broken)
    }
}

/// Hands credentials through and remembers when the last ones expire: a URL dies with the credentials that signed it.
#[derive(Debug)]
struct RememberExpiry {
    inner: SharedCredentialsProvider,
    expire: Arc<Mutex<Option<SystemTime>>>,
}

impl ProvideCredentials for RememberExpiry {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let credentials = self.inner.provide_credentials().await?;
            *self.expire.lock().unwrap_or_else(PoisonError::into_inner) = credentials.expiry();
            Ok(credentials)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_signed_where_somebody_could_change_them() {
        for endpoint in
            [None, Some("https://s3.example.com"), Some("http://127.0.0.1:4566"), Some("http://localhost")]
        {
            assert!(is_private(endpoint), "{endpoint:?}");
        }
        for endpoint in ["http://minio:9000", "http://10.0.0.7:9000"] {
            assert!(!is_private(Some(endpoint)), "{endpoint}");
        }
    }
}
