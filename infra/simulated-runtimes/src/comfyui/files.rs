//! The input, output and temp folders, in memory.

use std::{collections::VecDeque, time::SystemTime};

use bytes::Bytes;

/// Bytes that all files together may take; the oldest give way.
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

#[derive(Default)]
pub(super) struct Files(VecDeque<File>);

impl Files {
    pub(super) fn get(&self, folder: Folder, path: &str) -> Option<&File> {
        self.0.iter().find(|file| file.folder == folder && file.path == path)
    }

    /// Whether anything lies in a folder, or below it.
    pub(super) fn has_folder(&self, folder: Folder, path: &str) -> bool {
        let below = format!("{path}/");
        self.0.iter().any(|file| file.folder == folder && file.path.starts_with(&below))
    }

    /// Writes a file; one of the same name is replaced.
    pub(super) fn put(&mut self, folder: Folder, path: &str, content: Bytes) {
        self.0.retain(|file| file.folder != folder || file.path != path);
        self.0.push_back(File { folder, path: path.to_owned(), content, modified: SystemTime::now() });
        let mut size: usize = self.0.iter().map(|file| file.content.len()).sum();
        while size > CAPACITY {
            let Some(oldest) = self.0.pop_front() else { return };
            size -= oldest.content.len();
        }
    }

    /// The files of `folder` that begin with `prefix` have numbers after it: the next free one, from 1.
    pub(super) fn next_number(&self, folder: Folder, prefix: &str) -> u32 {
        let numbers = self.0.iter().filter(|file| file.folder == folder).filter_map(|file| {
            let rest = file.path.strip_prefix(prefix)?.strip_prefix('_')?;
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            rest.get(..end)?.parse::<u32>().ok()
        });
        numbers.max().unwrap_or_default() + 1
    }

    /// The temp folder is emptied whenever ComfyUI starts.
    pub(super) fn clear_temp(&mut self) {
        self.0.retain(|file| file.folder != Folder::Temp);
    }
}
