//! The bucket: results in, presigned URLs out; and reading inputs by `s3://`.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use url::{Host, Url};

use super::CloudError;
use super::presign::UrlSigner;
use super::signing_credentials::SigningCredentials;

pub(super) const S3: &str = "s3";

/// The bucket for results.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    bucket: String,
    url_expiry: Duration,
    signing: Option<Arc<SigningCredentials>>,
    /// Requests can only be corrupted by accident, which their CRC detects.
    nobody_between: bool,
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
        let conf = aws_sdk_s3::config::Builder::from(sdk)
            // Any other endpoint than AWS's own is reached by path: `bucket.127.0.0.1` is no host.
            .force_path_style(sdk.endpoint_url().is_some())
            .request_checksum_calculation(RequestChecksumCalculation::WhenSupported);
        let signing = sdk.credentials_provider().map(|source| SigningCredentials::new(source, url_expiry));
        Self {
            client: Client::from_conf(conf.build()),
            bucket: bucket.to_owned(),
            url_expiry,
            signing: signing.map(Arc::new),
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

    /// Stores an object unless there is one of that key; then the error is [`CloudError::exists`].
    pub async fn put_new(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<(), CloudError> {
        let call = self.client.put_object().bucket(&self.bucket).key(key).content_type(content_type);
        let sent = call.if_none_match("*").body(ByteStream::from(bytes)).send().await;
        sent.map(drop).map_err(|error| CloudError::new(S3, "put", &error))
    }

    /// Whether there is an object of that key. S3 answers "forbidden" for a missing one without the permission to list the bucket.
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

    /// What signs URLs for objects of the bucket now. Fails without valid credentials.
    pub async fn url_signer(&self) -> Result<UrlSigner, CloudError> {
        let credentials = match &self.signing {
            Some(signing) => signing.get().await,
            None => None,
        };
        let credentials = credentials.ok_or_else(|| CloudError {
            service: S3,
            action: "presign",
            code: "no_credentials".to_owned(),
            is_retryable: true,
        })?;
        Ok(UrlSigner::new(self.client.clone(), self.bucket.clone(), credentials, self.url_expiry))
    }
}

/// Whether no third party can change requests to the endpoint: TLS prevents it, or it is on this host. AWS's own
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
