//! Decodes the `aws-chunked` transfer of uploads, in which SDKs send bodies whose checksum follows as a trailer.
//! `s3s` does so only while it verifies a header signature, which the embedded endpoint does not do.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;

const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// The request with its plain body, and its trailers as headers. Other requests are not changed.
pub(super) async fn decode(request: Request) -> Result<Request, String> {
    let is_chunked =
        request.headers().get(CONTENT_SHA256).is_some_and(|hash| hash.as_bytes().starts_with(b"STREAMING-"));
    if !is_chunked {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let encoded = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let (body, trailers) = split(encoded).ok_or("the body is not aws-chunked")?;

    let headers = &mut parts.headers;
    headers.extend(trailers);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(CONTENT_SHA256, HeaderValue::from_static("UNSIGNED-PAYLOAD"));
    headers.remove("x-amz-decoded-content-length");
    headers.remove("x-amz-trailer");
    drop_coding(headers);
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Chunks are `hex-size[;extension]\r\n<data>\r\n`; after the one of size zero come the trailers.
fn split(mut encoded: Bytes) -> Option<(Bytes, HeaderMap)> {
    let mut body = BytesMut::new();
    loop {
        let head = line(&mut encoded)?;
        let size = head.split(|byte| *byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some((body.freeze(), trailers(encoded)));
        }
        if encoded.len() < size {
            return None;
        }
        body.extend_from_slice(&encoded.split_to(size));
        if !line(&mut encoded)?.is_empty() {
            return None;
        }
    }
}

fn trailers(mut encoded: Bytes) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    while let Some(line) = line(&mut encoded) {
        let text = String::from_utf8_lossy(&line);
        let Some((name, value)) = text.split_once(':') else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.trim().as_bytes()), HeaderValue::from_str(value.trim()))
        {
            trailers.insert(name, value);
        }
    }
    trailers
}

fn line(encoded: &mut Bytes) -> Option<Bytes> {
    let end = encoded.windows(2).position(|pair| pair == b"\r\n")?;
    let line = encoded.split_to(end);
    encoded.advance(2);
    Some(line)
}

/// `Content-Encoding: aws-chunked,gzip` becomes `gzip`.
fn drop_coding(headers: &mut HeaderMap) {
    let Some(codings) = headers.remove(header::CONTENT_ENCODING) else { return };
    let codings = codings.to_str().unwrap_or_default();
    let remaining: Vec<&str> = codings
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && *coding != "aws-chunked")
        .collect();
    if let Ok(remaining) = HeaderValue::from_str(&remaining.join(","))
        && !remaining.is_empty()
    {
        headers.insert(header::CONTENT_ENCODING, remaining);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::split;

    #[test]
    fn chunks_are_joined_and_trailers_read() {
        let encoded =
            "5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
        let (body, trailers) = split(Bytes::from_static(encoded.as_bytes())).unwrap();
        assert_eq!(body, "hello world");
        assert_eq!(trailers["x-amz-checksum-crc32"], "DUoRhQ==");
    }

    #[test]
    fn a_truncated_body_is_refused() {
        assert!(split(Bytes::from_static(b"5\r\nhel")).is_none());
        assert!(split(Bytes::from_static(b"5\r\nhello\r\n")).is_none());
    }
}
