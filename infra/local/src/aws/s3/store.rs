//! Buckets and objects on disk.
//!
//! | path below the data folder | what |
//! |---|---|
//! | `<bucket>/<key>` | the object's bytes (see `key_path` for keys that are no file names) |
//! | `.attributes/<bucket>/<SHA-256 of the key>.json` | its content type, ETag and metadata |
//! | `.incoming/` | bodies that are being received, and the parts of multipart uploads |

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures_util::{Stream, StreamExt as _};
use md5::Md5;
use s3s::dto::{ETag, ETagCondition};
use s3s::{S3Error, S3Result, StdError, s3_error};
use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{RwLock, RwLockReadGuard};
use uuid::Uuid;

use super::attributes::ObjectAttributes;
use super::cors::Cors;
use crate::aws::message_attributes::hex;

/// The data folder.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    /// Locked for writing while an object is created, replaced or deleted, so that its conditions, bytes and attributes
    /// are consistent; never while a body is received.
    change: RwLock<()>,
    /// The configuration of buckets for web pages.
    pub(super) cors: Cors,
}

/// An object that was found.
pub(super) struct StoredObject {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) modified: SystemTime,
    pub(super) attributes: ObjectAttributes,
}

/// A received body that is not an object yet. It is deleted on drop.
pub(super) struct Incoming {
    pub(super) path: PathBuf,
    pub(super) md5: [u8; 16],
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // After a commit there is nothing left to remove.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The preconditions of a write.
#[derive(Debug, Default)]
pub(super) struct WriteCondition {
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_match: Option<ETagCondition>,
}

impl Store {
    /// Opens the folder, which is created if it does not exist, and deletes unfinished uploads of an earlier process.
    pub(super) fn open(data_dir: &Path, cors: Cors) -> io::Result<Self> {
        std::fs::create_dir_all(data_dir)?;
        let store = Self { root: data_dir.to_owned(), change: RwLock::default(), cors };
        match std::fs::remove_dir_all(store.incoming()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(store.incoming())?,
        }
        Ok(store)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn incoming(&self) -> PathBuf {
        self.root.join(".incoming")
    }

    /// The bucket's folder, which must exist. Names were checked by `s3s` and hold no path separator.
    pub(super) fn bucket(&self, bucket: &str) -> S3Result<PathBuf> {
        let path = self.root.join(bucket);
        if path.is_dir() { Ok(path) } else { Err(s3_error!(NoSuchBucket)) }
    }

    /// Writes a body to a temporary file, and passes every piece to `inspect`.
    pub(super) async fn receive<S>(&self, mut body: S, mut inspect: impl FnMut(&[u8])) -> S3Result<Incoming>
    where
        S: Stream<Item = Result<bytes::Bytes, StdError>> + Unpin,
    {
        let mut incoming = Incoming { path: self.incoming().join(Uuid::new_v4().to_string()), md5: [0; 16] };
        let mut file = File::create(&incoming.path).await.map_err(S3Error::internal_error)?;
        let mut md5 = Md5::new();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| s3_error!(IncompleteBody))?;
            md5.update(&piece);
            inspect(&piece);
            file.write_all(&piece).await.map_err(S3Error::internal_error)?;
        }
        file.flush().await.map_err(S3Error::internal_error)?;
        incoming.md5 = md5.finalize().into();
        Ok(incoming)
    }

    /// Makes the body an object, atomically, if the condition holds.
    ///
    /// The change itself has no await point: a client that disconnects cancels its call at any of them, which would leave an
    /// object without attributes that is not in the call log.
    pub(super) async fn commit(
        &self,
        bucket: &str,
        incoming: Incoming,
        attributes: ObjectAttributes,
        condition: &WriteCondition,
    ) -> S3Result<()> {
        let path = self.object_path(bucket, &attributes.key)?;
        let attributes_path = self.attributes_path(bucket, &attributes.key);
        let _change = self.change.write().await;
        self.check(condition, bucket, &attributes.key, &path).await?;
        make_parent(&path)?;
        make_parent(&attributes_path)?;
        let json = serde_json::to_vec(&attributes).map_err(S3Error::internal_error)?;
        std::fs::rename(&incoming.path, &path).map_err(clash)?;
        std::fs::write(&attributes_path, json).map_err(S3Error::internal_error)
    }

    async fn check(&self, condition: &WriteCondition, bucket: &str, key: &str, path: &Path) -> S3Result<()> {
        if condition.if_none_match.is_some() && path.is_file() {
            return Err(s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            ));
        }
        let Some(expected) = &condition.if_match else { return Ok(()) };
        if !path.is_file() {
            return Err(s3_error!(NoSuchKey));
        }
        let attributes = self.attributes(bucket, key, path).await?;
        let agrees =
            expected.as_etag().is_none_or(|expected| expected.strong_cmp(&ETag::Strong(attributes.e_tag)));
        if agrees {
            return Ok(());
        }
        Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"))
    }

    /// The object with its attributes as they were at one moment.
    pub(super) async fn open_object(&self, bucket: &str, key: &str) -> S3Result<StoredObject> {
        let path = self.object_path(bucket, key)?;
        let _unchanged = self.unchanged().await;
        let file = match File::open(&path).await {
            Ok(file) => file,
            Err(_) => return Err(s3_error!(NoSuchKey)),
        };
        let about = file.metadata().await.map_err(S3Error::internal_error)?;
        if about.is_dir() {
            return Err(s3_error!(NoSuchKey));
        }
        Ok(StoredObject {
            file,
            length: about.len(),
            modified: about.modified().map_err(S3Error::internal_error)?,
            attributes: self.attributes(bucket, key, &path).await?,
        })
    }

    /// Removes the object, if there is one, and folders that it leaves empty.
    pub(super) async fn remove(&self, bucket: &str, key: &str) -> S3Result<()> {
        let bucket_path = self.bucket(bucket)?;
        let path = self.object_path(bucket, key)?;
        let _change = self.change.write().await;
        if fs::remove_file(&path).await.is_err() {
            return Ok(());
        }
        // A file that a user put here has no attributes.
        let _ = fs::remove_file(self.attributes_path(bucket, key)).await;
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != bucket_path) {
            if fs::remove_dir(folder).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Blocks changes while the guard exists.
    pub(super) async fn unchanged(&self) -> RwLockReadGuard<'_, ()> {
        self.change.read().await
    }

    /// The stored attributes or, for a file that a user put here, derived ones.
    pub(super) async fn attributes(
        &self,
        bucket: &str,
        key: &str,
        path: &Path,
    ) -> S3Result<ObjectAttributes> {
        if let Ok(json) = fs::read(self.attributes_path(bucket, key)).await
            && let Ok(attributes) = serde_json::from_slice(&json)
        {
            return Ok(attributes);
        }
        Ok(ObjectAttributes {
            key: key.to_owned(),
            e_tag: md5_of_file(path).await?,
            ..ObjectAttributes::default()
        })
    }

    fn object_path(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        self.bucket(bucket)?;
        Ok(super::object_path(&self.root, bucket, key))
    }

    fn attributes_path(&self, bucket: &str, key: &str) -> PathBuf {
        let name = hex(&Sha256::digest(key.as_bytes()));
        self.root.join(".attributes").join(bucket).join(name + ".json")
    }
}

async fn md5_of_file(path: &Path) -> S3Result<String> {
    let mut file = File::open(path).await.map_err(S3Error::internal_error)?;
    let (mut md5, mut buffer) = (Md5::new(), vec![0; 65_536]);
    loop {
        let length = file.read(&mut buffer).await.map_err(S3Error::internal_error)?;
        if length == 0 {
            return Ok(hex(&md5.finalize()));
        }
        md5.update(&buffer[..length]);
    }
}

fn make_parent(path: &Path) -> S3Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent).map_err(clash)
}

/// A key that S3 allows and a file system does not.
fn clash(error: io::Error) -> S3Error {
    match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::AlreadyExists => {
            s3_error!(
                InvalidArgument,
                "Objects are files here: one key cannot be the beginning, up to a slash, of another key"
            )
        }
        _ => S3Error::internal_error(error),
    }
}
