//! Uploads in parts. An unfinished upload is a folder below `.incoming`, one file per part.

use std::path::PathBuf;

use futures_util::{StreamExt as _, stream};
use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{S3Error, S3Result, s3_error};
use tokio::fs::{self, File};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::attributes::{ObjectAttributes, headers_of};
use super::store::{Store, WriteCondition};
use crate::aws::message_attributes::hex;

const ATTRIBUTES_FILE: &str = "attributes.json";

pub(super) async fn create(
    store: &Store,
    input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    store.bucket(&input.bucket)?;
    let upload_id = Uuid::new_v4().to_string();
    let folder = store.incoming().join(&upload_id);
    fs::create_dir(&folder).await.map_err(S3Error::internal_error)?;
    let json = serde_json::to_vec(&headers_of!(input)).map_err(S3Error::internal_error)?;
    fs::write(folder.join(ATTRIBUTES_FILE), json).await.map_err(S3Error::internal_error)?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload_id),
        ..Default::default()
    })
}

pub(super) async fn upload_part(store: &Store, input: UploadPartInput) -> S3Result<UploadPartOutput> {
    let folder = folder(store, &input.upload_id)?;
    if !(1..=10_000).contains(&input.part_number) {
        return Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive"
        ));
    }
    let body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
    let incoming = store.receive(body, |_| ()).await?;
    let part = folder.join(input.part_number.to_string());
    fs::rename(&incoming.path, part).await.map_err(S3Error::internal_error)?;
    Ok(UploadPartOutput { e_tag: Some(ETag::Strong(hex(&incoming.md5))), ..Default::default() })
}

pub(super) async fn complete(
    store: &Store,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let folder = folder(store, &input.upload_id)?;
    let chosen = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let numbers: Vec<i32> = chosen.iter().filter_map(|part| part.part_number).collect();
    if numbers.is_empty() || !numbers.is_sorted_by(|left, right| left < right) {
        return Err(s3_error!(InvalidPartOrder));
    }
    let mut files = Vec::new();
    for number in &numbers {
        let path = folder.join(number.to_string());
        files.push(File::open(path).await.map_err(|error| s3_error!(error, InvalidPart))?);
    }
    let json = fs::read(folder.join(ATTRIBUTES_FILE)).await.map_err(S3Error::internal_error)?;
    let mut attributes: ObjectAttributes = serde_json::from_slice(&json).map_err(S3Error::internal_error)?;
    attributes.e_tag = e_tag_of_parts(&chosen)?;

    let joined = stream::iter(files).flat_map(ReaderStream::new);
    let incoming = store.receive(StreamingBlob::wrap(joined), |_| ()).await?;
    let e_tag = attributes.e_tag.clone();
    let condition = WriteCondition { if_none_match: input.if_none_match, if_match: input.if_match };
    store.commit(&input.bucket, incoming, attributes, &condition).await?;
    fs::remove_dir_all(folder).await.map_err(S3Error::internal_error)?;
    Ok(CompleteMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(e_tag)),
        ..Default::default()
    })
}

/// The MD5 of the parts' MD5s, which the client sends as the parts' ETags, and their number.
fn e_tag_of_parts(parts: &[CompletedPart]) -> S3Result<String> {
    let mut md5 = Md5::new();
    for part in parts {
        let e_tag = part.e_tag.as_ref().map(ETag::value).unwrap_or_default();
        let digest = u128::from_str_radix(e_tag, 16).map_err(|error| s3_error!(error, InvalidPart))?;
        md5.update(digest.to_be_bytes());
    }
    Ok(format!("{}-{}", hex(&md5.finalize()), parts.len()))
}

pub(super) async fn abort(
    store: &Store,
    input: AbortMultipartUploadInput,
) -> S3Result<AbortMultipartUploadOutput> {
    fs::remove_dir_all(folder(store, &input.upload_id)?).await.map_err(S3Error::internal_error)?;
    Ok(AbortMultipartUploadOutput::default())
}

/// The folder of an upload in progress.
fn folder(store: &Store, upload_id: &str) -> S3Result<PathBuf> {
    let upload_id = Uuid::parse_str(upload_id).map_err(|error| s3_error!(error, NoSuchUpload))?;
    let folder = store.incoming().join(upload_id.to_string());
    if folder.is_dir() { Ok(folder) } else { Err(s3_error!(NoSuchUpload)) }
}
