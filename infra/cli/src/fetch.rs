//! `darkroom fetch`: the files of a task, under safe names, each complete or not there.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::StatusCode;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::api::{Api, Output, Task, cause};
use crate::error::Error as CommandError;
use crate::{file_name, output};

/// How often a download is tried.
const TRIES: u32 = 3;

#[derive(Debug, Args)]
pub(crate) struct FetchArguments {
    /// The id of the task.
    id: String,
    /// The folder for the files; it is created.
    #[arg(long, short, default_value = ".", value_name = "FOLDER")]
    output: PathBuf,
    /// Replace existing files.
    #[arg(long)]
    overwrite: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the task {id} is {status}: only a succeeded task has files; see `darkroom wait {id}`")]
    NotFinished { id: String, status: String },
    #[error("{} exists: see --overwrite", .0.display())]
    Exists(PathBuf),
    #[error("{} cannot be written: {cause}", .file.display())]
    Unwritable { file: PathBuf, cause: io::Error },
    #[error("{0} has no URL")]
    NoUrl(String),
    #[error("{address} cannot be downloaded: {cause}")]
    Download { address: String, cause: String },
}

impl Error {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NotFinished { .. } => 1,
            Self::Exists(_) | Self::Unwritable { .. } => 2,
            Self::NoUrl(_) | Self::Download { .. } => 3,
        }
    }
}

pub(crate) async fn run(api: &Api, arguments: &FetchArguments, json: bool) -> Result<(), CommandError> {
    let FetchArguments { id, output: folder, overwrite } = arguments;
    let task = api.task(id, None).await?.value;
    let files = files(&task, folder, *overwrite)?;
    let unwritable = |cause| Error::Unwritable { file: folder.clone(), cause };
    fs::create_dir_all(folder).map_err(unwritable)?;
    let mut saved = Vec::new();
    for (path, file) in files {
        save(api, file, &path, *overwrite).await?;
        if !json {
            output::line(&path.display().to_string())?;
        }
        saved.push(json!({ "path": path, "s3_uri": file.s3_uri, "content_type": file.content_type, "bytes": file.bytes }));
    }
    if json {
        output::json(&json!({ "id": task.id, "files": saved }))?;
    }
    Ok(())
}

/// Where each file goes. Nothing is downloaded if one of them exists.
fn files<'a>(task: &'a Task, folder: &Path, overwrite: bool) -> Result<Vec<(PathBuf, &'a Output)>, Error> {
    if !task.has_succeeded() {
        return Err(Error::NotFinished { id: task.id.clone(), status: task.status.clone() });
    }
    let mut names = Vec::new();
    for (n, output) in task.outputs.iter().enumerate() {
        names.push(file_name::safe(&output.s3_uri, n + 1, &names));
    }
    let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    match paths.iter().find(|path| !overwrite && path.symlink_metadata().is_ok()) {
        Some(path) => Err(Error::Exists(path.clone())),
        None => Ok(paths.into_iter().zip(&task.outputs).collect()),
    }
}

/// Downloads a file beside its place and moves it there. What an interrupted download has is deleted.
async fn save(api: &Api, file: &Output, path: &Path, overwrite: bool) -> Result<(), Error> {
    let url = file.url.as_deref().ok_or_else(|| Error::NoUrl(file.s3_uri.clone()))?;
    let unwritable = |cause| Error::Unwritable { file: path.to_owned(), cause };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut tries = 1;
    let downloaded = loop {
        let mut part = tempfile::Builder::new()
            .prefix(".darkroom-")
            .suffix(".part")
            .tempfile_in(folder)
            .map_err(unwritable)?;
        match download(api, url, file.bytes, &mut part).await {
            Ok(()) => break part,
            Err(Failed::Write(cause)) => return Err(unwritable(cause)),
            Err(Failed::Read(cause)) if tries == TRIES => {
                return Err(Error::Download { address: file.s3_uri.clone(), cause });
            }
            Err(Failed::Read(_)) => tries += 1,
        }
    };
    let moved = if overwrite { downloaded.persist(path) } else { downloaded.persist_noclobber(path) };
    moved.map(drop).map_err(|error| match error.error {
        cause if cause.kind() == io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
        cause => unwritable(cause),
    })
}

enum Failed {
    Read(String),
    Write(io::Error),
}

async fn download(api: &Api, url: &str, bytes: u64, part: &mut NamedTempFile) -> Result<(), Failed> {
    let read = |error| Failed::Read(cause(error));
    let mut response = api.files.get(url).send().await.map_err(read)?;
    if response.status() != StatusCode::OK {
        return Err(Failed::Read(format!("the storage answers {}", response.status())));
    }
    let mut received = 0;
    while let Some(chunk) = response.chunk().await.map_err(read)? {
        received += chunk.len() as u64;
        if received > bytes {
            break;
        }
        part.write_all(&chunk).map_err(Failed::Write)?;
    }
    if received != bytes {
        return Err(Failed::Read(format!("it has not the {bytes} bytes that were stored")));
    }
    part.as_file().sync_all().map_err(Failed::Write)
}
