//! Listing a bucket's keys, page by page.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{CommonPrefix, ETag, EncodingType, ListObjectsV2Input, ListObjectsV2Output, Object};
use s3s::{S3Error, S3Result};

use super::key_path;
use super::store::Store;

/// The characters that `encoding-type=url` does not escape.
const URL_SAFE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'*');

/// A key, or the keys that share a prefix up to the delimiter.
enum Entry {
    Object(PathBuf),
    CommonPrefix,
}

/// One page of keys in byte order; the continuation token is the last key or prefix of the page before.
pub(super) async fn list(store: &Store, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let bucket_path = store.bucket(&input.bucket)?;
    let _unchanged = store.unchanged().await;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let mut entries = BTreeMap::new();
    for (key, path) in objects(&bucket_path).map_err(S3Error::internal_error)? {
        let Some(rest) = key.strip_prefix(&prefix) else { continue };
        match delimiter.and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len())) {
            Some(end) => entries.insert(format!("{prefix}{}", &rest[..end]), Entry::CommonPrefix),
            None => entries.insert(key, Entry::Object(path)),
        };
    }
    let after = input.continuation_token.as_ref().max(input.start_after.as_ref());
    let max_keys = input.max_keys.unwrap_or(1000).clamp(0, 1000);
    let mut rest = entries.into_iter().filter(|(key, _)| after.is_none_or(|after| key > after)).peekable();

    let is_url = input.encoding_type.as_ref().is_some_and(|encoding| encoding.as_str() == EncodingType::URL);
    let written = |key: &str| {
        if is_url { utf8_percent_encode(key, URL_SAFE).to_string() } else { key.to_owned() }
    };
    let (mut contents, mut common_prefixes, mut last) = (Vec::new(), Vec::new(), None);
    for (key, entry) in rest.by_ref().take(usize::try_from(max_keys).unwrap_or_default()) {
        match entry {
            Entry::CommonPrefix => common_prefixes.push(CommonPrefix { prefix: Some(written(&key)) }),
            Entry::Object(path) => {
                contents.push(describe(store, &input.bucket, &key, &path, written(&key)).await?);
            }
        }
        last = Some(key);
    }
    let is_truncated = max_keys > 0 && rest.peek().is_some();
    Ok(ListObjectsV2Output {
        key_count: i32::try_from(contents.len() + common_prefixes.len()).ok(),
        max_keys: Some(max_keys),
        is_truncated: Some(is_truncated),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        next_continuation_token: last.filter(|_| is_truncated),
        continuation_token: input.continuation_token,
        delimiter: input.delimiter,
        encoding_type: input.encoding_type,
        name: Some(input.bucket),
        prefix: Some(written(&prefix)),
        start_after: input.start_after,
        ..ListObjectsV2Output::default()
    })
}

async fn describe(store: &Store, bucket: &str, key: &str, path: &Path, written: String) -> S3Result<Object> {
    let about = tokio::fs::metadata(path).await.map_err(S3Error::internal_error)?;
    let attributes = store.attributes(bucket, key, path).await?;
    Ok(Object {
        key: Some(written),
        e_tag: Some(ETag::Strong(attributes.e_tag)),
        last_modified: about.modified().ok().map(Into::into),
        size: i64::try_from(about.len()).ok(),
        ..Object::default()
    })
}

/// All files of a bucket whose path is that of a key.
fn objects(bucket: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let (mut found, mut folders) = (Vec::new(), vec![bucket.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let (path, kind) = {
                let entry = entry?;
                (entry.path(), entry.file_type()?)
            };
            if kind.is_dir() {
                folders.push(path);
            } else if let Some(key) = path.strip_prefix(bucket).ok().and_then(key_path::key_of) {
                found.push((key, path));
            }
        }
    }
    Ok(found)
}
