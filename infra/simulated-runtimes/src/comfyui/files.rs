//! The input, output and temp folders: in memory, and also on disk if a folder is configured.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use bytes::Bytes;

/// The maximum size of all files together, in bytes; the oldest are dropped.
const CAPACITY: usize = 512 * 1024 * 1024;

/// One of ComfyUI's folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folder {
    Input,
    Output,
    Temp,
}

impl Folder {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "input" => Some(Self::Input),
            "output" => Some(Self::Output),
            "temp" => Some(Self::Temp),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Temp => "temp",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct File {
    folder: Folder,
    /// Path within the folder, `subfolder/name`.
    path: String,
    pub(super) content: Bytes,
    pub(super) modified: SystemTime,
}

impl File {
    fn path_in(&self, root: &Path) -> PathBuf {
        root.join(self.folder.name()).join(&self.path)
    }

    fn write(&self, root: &Path) -> io::Result<()> {
        let path = self.path_in(root);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(path, &self.content)
    }
}

pub(super) struct Files {
    files: VecDeque<File>,
    /// Their folder on disk, with a subfolder for each kind.
    on_disk: Option<PathBuf>,
}

impl Files {
    /// No files yet; they are also stored on disk in `on_disk`.
    pub(super) fn new(on_disk: Option<PathBuf>) -> Self {
        Self { files: VecDeque::new(), on_disk }
    }

    /// A file that was deleted from the disk is deleted here, too.
    pub(super) fn look(&mut self) {
        if let Some(root) = &self.on_disk {
            self.files.retain(|file| file.path_in(root).exists());
        }
    }

    pub(super) fn get(&self, folder: Folder, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.folder == folder && file.path == path)
    }

    /// Whether there is any file in a folder, or below it.
    pub(super) fn has_folder(&self, folder: Folder, path: &str) -> bool {
        let below = format!("{path}/");
        self.files.iter().any(|file| file.folder == folder && file.path.starts_with(&below))
    }

    /// Writes a file; one of the same name is replaced.
    pub(super) fn put(&mut self, folder: Folder, path: &str, content: Bytes) {
        self.files.retain(|file| file.folder != folder || file.path != path);
        let file = File { folder, path: path.to_owned(), content, modified: SystemTime::now() };
        if let Some(root) = &self.on_disk
            && let Err(error) = file.write(root)
        {
            tracing::error!(%error, path, "a file cannot be written");
        }
        self.files.push_back(file);
        let mut size: usize = self.files.iter().map(|file| file.content.len()).sum();
        while size > CAPACITY {
            let Some(oldest) = self.files.pop_front() else { return };
            size -= oldest.content.len();
        }
    }

    /// The files of `folder` that begin with `prefix` have numbers after it: the next free one, from 1.
    pub(super) fn next_number(&self, folder: Folder, prefix: &str) -> u32 {
        let numbers = self.files.iter().filter(|file| file.folder == folder).filter_map(|file| {
            let rest = file.path.strip_prefix(prefix)?.strip_prefix('_')?;
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            rest.get(..end)?.parse::<u32>().ok()
        });
        numbers.max().unwrap_or_default() + 1
    }

    /// The temp folder is emptied whenever ComfyUI starts.
    pub(super) fn clear_temp(&mut self) {
        self.files.retain(|file| file.folder != Folder::Temp);
        if let Some(root) = &self.on_disk {
            // It may not be there yet.
            fs::remove_dir_all(root.join(Folder::Temp.name())).ok();
        }
    }
}
