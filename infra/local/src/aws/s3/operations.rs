//! The actions of the API, as `s3s` hands them over.

use std::io::SeekFrom;

use base64_simd::STANDARD as BASE64;
use s3s::checksum::ChecksumHasher;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::attributes::headers_of;
use super::store::{Incoming, Store, StoredObject, WriteCondition};
use super::{listing, multipart};
use crate::aws::message_attributes::hex;

/// The content type of an object that was stored without one.
const UNKNOWN_CONTENT_TYPE: &str = "binary/octet-stream";

#[async_trait::async_trait]
impl S3 for Store {
    /// Creating one's own bucket again succeeds, as in `us-east-1`.
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = request.input.bucket;
        std::fs::create_dir_all(self.root().join(&bucket)).map_err(S3Error::internal_error)?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{bucket}")) }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&request.input.bucket)?;
        let region = Some(crate::aws::REGION.to_owned());
        Ok(S3Response::new(HeadBucketOutput { bucket_region: region, ..Default::default() }))
    }

    async fn put_bucket_cors(
        &self,
        request: S3Request<PutBucketCorsInput>,
    ) -> S3Result<S3Response<PutBucketCorsOutput>> {
        let PutBucketCorsInput { bucket, cors_configuration, .. } = request.input;
        self.bucket(&bucket)?;
        self.cors.put(bucket, cors_configuration.cors_rules);
        Ok(S3Response::new(PutBucketCorsOutput::default()))
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let mut buckets = Vec::new();
        for entry in std::fs::read_dir(self.root()).map_err(S3Error::internal_error)? {
            let entry = entry.map_err(S3Error::internal_error)?;
            let about = entry.metadata().map_err(S3Error::internal_error)?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if about.is_dir() && s3s::path::check_bucket_name(&name) {
                let creation_date = about.created().or_else(|_| about.modified()).ok().map(Into::into);
                buckets.push(Bucket { name: Some(name), creation_date, ..Default::default() });
            }
        }
        buckets.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), ..Default::default() }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = request.input;
        self.bucket(&input.bucket)?;
        let body = input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;
        let mut hasher = hasher_for(&input);
        let incoming = self.receive(body, |piece| hasher.update(piece)).await?;
        verify(&input, &incoming, hasher.finalize())?;

        let e_tag = hex(&incoming.md5);
        let mut attributes = headers_of!(input);
        attributes.e_tag.clone_from(&e_tag);
        let condition = WriteCondition { if_none_match: input.if_none_match, if_match: input.if_match };
        self.commit(&input.bucket, incoming, attributes, &condition).await?;
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(ETag::Strong(e_tag)), ..Default::default() }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let StoredObject { mut file, length, modified, attributes } =
            self.open_object(&input.bucket, &input.key).await?;
        let range = input.range.map(|range| range.check(length)).transpose()?;
        let (start, end) = range.as_ref().map_or((0, length), |range| (range.start, range.end));
        file.seek(SeekFrom::Start(start)).await.map_err(S3Error::internal_error)?;
        let content_length = i64::try_from(end - start).map_err(S3Error::internal_error)?;
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(ReaderStream::with_capacity(file.take(end - start), 65_536))),
            content_length: Some(content_length),
            content_range: range.map(|range| format!("bytes {}-{}/{length}", range.start, range.end - 1)),
            accept_ranges: Some("bytes".to_owned()),
            last_modified: Some(modified.into()),
            e_tag: Some(ETag::Strong(attributes.e_tag)),
            content_type: input
                .response_content_type
                .or(attributes.content_type)
                .or_else(|| Some(UNKNOWN_CONTENT_TYPE.to_owned())),
            content_encoding: input.response_content_encoding.or(attributes.content_encoding),
            content_disposition: input.response_content_disposition.or(attributes.content_disposition),
            content_language: input.response_content_language.or(attributes.content_language),
            cache_control: input.response_cache_control.or(attributes.cache_control),
            metadata: Some(attributes.metadata),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object = self.open_object(&input.bucket, &input.key).await?;
        let attributes = object.attributes;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(object.length).ok(),
            accept_ranges: Some("bytes".to_owned()),
            last_modified: Some(object.modified.into()),
            e_tag: Some(ETag::Strong(attributes.e_tag)),
            content_type: attributes.content_type.or_else(|| Some(UNKNOWN_CONTENT_TYPE.to_owned())),
            content_encoding: attributes.content_encoding,
            content_disposition: attributes.content_disposition,
            content_language: attributes.content_language,
            cache_control: attributes.cache_control,
            metadata: Some(attributes.metadata),
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.remove(&request.input.bucket, &request.input.key).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        Ok(S3Response::new(listing::list(self, request.input).await?))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        multipart::create(self, request.input).await.map(S3Response::new)
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        multipart::upload_part(self, request.input).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        multipart::complete(self, request.input).await.map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        multipart::abort(self, request.input).await.map(S3Response::new)
    }
}

/// Hashers for the checksums that the client sent.
fn hasher_for(input: &PutObjectInput) -> ChecksumHasher {
    ChecksumHasher {
        crc32: input.checksum_crc32.is_some().then(Default::default),
        crc32c: input.checksum_crc32c.is_some().then(Default::default),
        sha1: input.checksum_sha1.is_some().then(Default::default),
        sha256: input.checksum_sha256.is_some().then(Default::default),
        crc64nvme: input.checksum_crc64nvme.is_some().then(Default::default),
    }
}

fn verify(input: &PutObjectInput, incoming: &Incoming, computed: Checksum) -> S3Result<()> {
    let agrees = input.content_md5.as_ref().is_none_or(|sent| *sent == BASE64.encode_to_string(incoming.md5))
        && computed.checksum_crc32 == input.checksum_crc32
        && computed.checksum_crc32c == input.checksum_crc32c
        && computed.checksum_sha1 == input.checksum_sha1
        && computed.checksum_sha256 == input.checksum_sha256
        && computed.checksum_crc64nvme == input.checksum_crc64nvme;
    if agrees {
        Ok(())
    } else {
        Err(s3_error!(BadDigest, "The checksum you specified did not match what we received"))
    }
}
