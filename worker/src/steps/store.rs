//! Stores what a run yielded: each file under its number, as what its bytes say it is.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use shared_schema::keys::{OutputKeys, s3_uri};
use shared_schema::notification::Output;

use super::media_type;
use super::results::Results;
use crate::error::TaskError;
use crate::runtimes::OutputFile;
use crate::spans;

/// How many files of one task are uploaded at once.
const UPLOADS: usize = 8;

impl Results {
    /// Uploads the files of a run, each under its number.
    pub(super) async fn store_files(
        &self,
        keys: &OutputKeys,
        files: &[OutputFile],
    ) -> Result<Vec<Output>, TaskError> {
        let span = spans::STORE.start();
        let uploads: Vec<_> = (1..).zip(files).map(|(n, file)| self.store_file(keys, n, file)).collect();
        let stored = span.within(stream::iter(uploads).buffered(UPLOADS).try_collect()).await;
        span.result(&stored, TaskError::code_text);
        stored
    }

    async fn store_file(&self, keys: &OutputKeys, n: usize, file: &OutputFile) -> Result<Output, TaskError> {
        let kind = media_type::of(file);
        let key = keys.file(n, &kind.extension);
        let size = imagesize::blob_size(&file.bytes).ok();
        let bytes = file.bytes.len() as u64;
        let span = spans::FILE.start();
        span.set("darkroom.bytes", bytes as i64);
        span.set("darkroom.content_type", kind.name);
        span.set("aws.s3.bucket", self.store.bucket().to_owned());
        span.set("aws.s3.key", key.clone());
        let disposition = kind.is_attachment.then_some("attachment");
        let stored = self.put(&key, file.bytes.clone(), kind.name, disposition).await;
        span.result(&stored, TaskError::code_text);
        stored?;
        Ok(Output {
            s3_uri: s3_uri(self.store.bucket(), &key),
            url: None,
            url_expires_at: None,
            content_type: kind.name.to_owned(),
            bytes,
            width: size.map(|size| size.width as u64),
            height: size.map(|size| size.height as u64),
        })
    }
}
