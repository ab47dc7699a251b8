//! Stores what a run yielded: each file under its number, as what its bytes say it is.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use shared_schema::keys::{OutputKeys, s3_uri};
use shared_schema::notification::Output;

use super::results::Results;
use crate::error::TaskError;
use crate::runtimes::OutputFile;

/// How many files of one task are uploaded at once.
const UPLOADS: usize = 8;

impl Results {
    /// Uploads the files of a run, each under its number.
    pub(super) async fn store_files(
        &self,
        keys: &OutputKeys,
        files: &[OutputFile],
    ) -> Result<Vec<Output>, TaskError> {
        let uploads: Vec<_> = (1..).zip(files).map(|(n, file)| self.store_file(keys, n, file)).collect();
        stream::iter(uploads).buffered(UPLOADS).try_collect().await
    }

    async fn store_file(&self, keys: &OutputKeys, n: usize, file: &OutputFile) -> Result<Output, TaskError> {
        let (content_type, extension) = media_type(file);
        let key = keys.file(n, &extension);
        let size = imagesize::blob_size(&file.bytes).ok();
        let bytes = file.bytes.len() as u64;
        self.put(&key, file.bytes.clone(), content_type).await?;
        Ok(Output {
            s3_uri: s3_uri(self.store.bucket(), &key),
            url: None,
            url_expires_at: None,
            content_type: content_type.to_owned(),
            bytes,
            width: size.map(|size| size.width as u64),
            height: size.map(|size| size.height as u64),
        })
    }
}

/// The media type and extension of a file: from its bytes, else from its name in the runtime.
fn media_type(file: &OutputFile) -> (&'static str, String) {
    if let Some(kind) = infer::get(&file.bytes) {
        return (kind.mime_type(), kind.extension().to_owned());
    }
    let extension = file.name.as_deref().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    let sane = extension
        .filter(|text| (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()));
    match sane.map(str::to_ascii_lowercase) {
        Some(text) if text == "txt" => ("text/plain; charset=utf-8", text),
        Some(text) if text == "json" => ("application/json", text),
        Some(text) if text == "svg" => ("image/svg+xml", text),
        Some(text) => ("application/octet-stream", text),
        None => ("application/octet-stream", "bin".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn named(bytes: &'static [u8], name: Option<&str>) -> (&'static str, String) {
        media_type(&OutputFile { bytes: Bytes::from_static(bytes), name: name.map(str::to_owned) })
    }

    #[test]
    fn the_bytes_tell_the_type_before_the_name_does() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        assert_eq!(named(png, Some("x.jpg")), ("image/png", "png".to_owned()));
        assert_eq!(named(b"?", Some("out_00001_.latent")), ("application/octet-stream", "latent".to_owned()));
        assert_eq!(named(b"?", Some("a.b/c")), ("application/octet-stream", "bin".to_owned()));
        assert_eq!(named(b"?", None), ("application/octet-stream", "bin".to_owned()));
    }
}
