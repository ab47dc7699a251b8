//! Signatures of single calls (AWS Signature Version 4): in headers, or in a presigned URL of S3.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_types::body::SdkBody;
use axum::http::{Method, Request};

/// The request with its signature, under which a service takes only that body.
pub(crate) fn signed(
    mut request: Request<SdkBody>,
    body: SignableBody<'_>,
    credentials: Credentials,
    (service, region): (&str, &str),
    now: SystemTime,
) -> Option<Request<SdkBody>> {
    let mut settings = settings();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(now)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let uri = request.uri().to_string();
    let headers =
        request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, body).ok()?;
    let (instructions, _) = sign(signable, &params).ok()?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Some(request)
}

/// A request to presign.
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a str,
    /// The headers that the request must have, with these values.
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

/// The URL of a request with a signature in its query. The body is not signed.
pub(crate) fn presigned(
    request: Unsigned<'_>,
    credentials: Credentials,
    region: &str,
    now: SystemTime,
    lifetime: Duration,
) -> Option<String> {
    let mut settings = settings();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(lifetime);
    let identity = credentials.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(now)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let Unsigned { method, url, headers } = request;
    let headers = headers.iter().copied();
    let signable = SignableRequest::new(method.as_str(), url, headers, SignableBody::UnsignedPayload).ok()?;
    let (instructions, _) = sign(signable, &params).ok()?.into_parts();
    let mut request = Request::builder().method(method).uri(url).body(()).ok()?;
    instructions.apply_to_request_http1x(&mut request);
    Some(request.uri().to_string())
}

/// The settings of S3's signatures: paths are signed as they are.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn the_signature_is_that_of_the_example_in_the_documentation() {
        // Amazon S3 API reference, "Examples: Signature calculations", "PUT object".
        let put = Request::put("https://examplebucket.s3.amazonaws.com/test%24file.text")
            .header(header::DATE, "Fri, 24 May 2013 00:00:00 GMT")
            .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
            .body(SdkBody::empty())
            .unwrap();
        let (key, secret) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let credentials = Credentials::new(key, secret, None, None, "example");
        let sha256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
        let midnight = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let body = SignableBody::Precomputed(sha256.to_owned());
        let put = signed(put, body, credentials, ("s3", "us-east-1"), midnight).unwrap();
        let authorization = put.headers()[header::AUTHORIZATION].to_str().unwrap();
        let expected = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        assert!(authorization.ends_with(expected), "{authorization}");
        assert_eq!(put.headers()["x-amz-content-sha256"], sha256);
    }
}
