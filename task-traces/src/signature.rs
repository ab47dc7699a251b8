//! Signatures of calls to the OTLP endpoint of AWS X-Ray (AWS Signature Version 4).

use std::time::SystemTime;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::Request;
use opentelemetry_http::HttpError;

/// Signs calls to X-Ray in one region.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    credentials: SharedCredentialsProvider,
    region: String,
}

impl Signer {
    /// `None` unless the URL is one of `https://xray.<region>.amazonaws.com`: an agent takes calls without a signature.
    pub(crate) fn of(url: &str, credentials: SharedCredentialsProvider) -> Option<Self> {
        let region = region(url)?;
        Some(Self { credentials, region })
    }

    /// The call with its signature.
    pub(crate) async fn signed(
        &self,
        mut request: Request<Bytes>,
        now: SystemTime,
    ) -> Result<Request<Bytes>, HttpError> {
        let identity = self.credentials.provide_credentials().await?.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("xray")
            .time(now)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let uri = request.uri().to_string();
        let headers =
            request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(request.body());
        let signable = SignableRequest::new(request.method().as_str(), uri, headers, body)?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// The region of an endpoint of X-Ray (AWS X-Ray endpoints and quotas).
fn region(url: &str) -> Option<String> {
    let host = url.strip_prefix("https://xray.")?.split('/').next()?;
    let region = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let is_name =
        region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (is_name && !region.is_empty()).then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;

    #[test]
    fn only_the_endpoints_of_xray_get_a_signature() {
        for (url, expected) in [
            ("https://xray.us-east-1.amazonaws.com/v1/traces", Some("us-east-1")),
            ("https://xray.cn-north-1.amazonaws.com.cn/v1/traces", Some("cn-north-1")),
            ("http://xray.us-east-1.amazonaws.com/v1/traces", None),
            ("https://xray.us-east-1.amazonaws.com.example.com/v1/traces", None),
            ("https://xray.example.com/x.amazonaws.com", None),
            ("http://127.0.0.1:4318/v1/traces", None),
        ] {
            assert_eq!(region(url).as_deref(), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn a_call_is_signed_for_its_region_with_its_body() {
        let credentials =
            SharedCredentialsProvider::new(Credentials::new("AKID", "secret", None, None, "test"));
        let signer = Signer::of("https://xray.eu-west-1.amazonaws.com/v1/traces", credentials).unwrap();
        let call = |body: &'static [u8]| {
            Request::post("https://xray.eu-west-1.amazonaws.com/v1/traces")
                .header("content-type", "application/x-protobuf")
                .body(Bytes::from_static(body))
                .unwrap()
        };
        let signature = async |body| {
            let signed = signer.signed(call(body), SystemTime::UNIX_EPOCH).await.unwrap();
            signed.headers()["authorization"].to_str().unwrap().to_owned()
        };
        let authorization = signature(b"spans").await;
        let scope = "AWS4-HMAC-SHA256 Credential=AKID/19700101/eu-west-1/xray/aws4_request, SignedHeaders=content-type;host;x-amz-date, ";
        assert!(authorization.starts_with(scope), "{authorization}");
        assert_ne!(authorization, signature(b"other").await);
    }
}
