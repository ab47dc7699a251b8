//! The folder that the runtime's server writes to, on a volume that the worker shares: deletes what runs left there, and
//! measures how much space is left.
//!
//! A runtime executes callers' workflows, so whatever lies in the folder is hostile. Paths are resolved inside it by the kernel
//! (`openat2`), links are never followed out of it, and only folders that the worker named itself, by a UUID, are deleted as a whole.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt};
use uuid::Uuid;

use crate::runtimes::Leavings;

/// The share of `SCRATCH_LIMIT_BYTES` that stays free: room for what runs that have begun may still write.
const RESERVED_SHARE: u64 = 10;

/// What stays free of a volume without a limit, in bytes.
const RESERVED_BYTES: u64 = 1 << 30;

/// What a block of `stat` has (stat(2), `st_blocks`), in bytes.
const BLOCK_BYTES: u64 = 512;

/// The scratch folder of the runtime beside the worker.
#[derive(Debug, Clone)]
pub struct Scratch {
    folder: Arc<Dir>,
    /// What all files in it may take, in bytes; 0 for no limit but the volume's.
    limit: u64,
    leavings: &'static Leavings,
}

/// How much can be written before the limit or the end of the volume is reached, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What is left.
    pub free: u64,
    /// What is to stay free: with less, no task is received.
    pub reserved: u64,
}

impl Space {
    /// Whether the runs of further tasks may fill the rest.
    pub fn is_low(&self) -> bool {
        self.free < self.reserved
    }
}

impl Scratch {
    /// The folder at that path, in which a runtime leaves these files.
    pub fn open(path: &Path, limit: u64, leavings: &'static Leavings) -> io::Result<Self> {
        let folder = Arc::new(Dir::open_ambient_dir(path, ambient_authority())?);
        Ok(Self { folder, limit, leavings })
    }

    /// Deletes the folders of a run. Best effort: what is left is tried again by [`Scratch::delete_all_but`].
    pub async fn delete(&self, run: Vec<Uuid>) {
        self.blocking(move |scratch| {
            for folder in scratch.run_folders() {
                for name in &run {
                    scratch.delete_folder(&folder.join(name.to_string()));
                }
            }
        })
        .await;
    }

    /// Deletes the folders of all runs but these: those that a killed process left, or a run that went on writing.
    pub async fn delete_all_but(&self, kept: HashSet<Uuid>) {
        self.blocking(move |scratch| {
            for folder in scratch.run_folders() {
                let left = scratch.names(&folder).into_iter().filter_map(|name| own_name(&name));
                for name in left.filter(|name| !kept.contains(name)) {
                    scratch.delete_folder(&folder.join(name.to_string()));
                }
            }
        })
        .await;
    }

    /// Deletes every file that is in no run's folder and is not needed while nothing runs, such as previews and what
    /// nodes saved elsewhere. Returns how many.
    pub async fn delete_disposable(&self) -> u64 {
        self.blocking(|scratch| {
            let run_folders: Vec<PathBuf> = scratch.run_folders().collect();
            let mut deleted = 0;
            for folder in scratch.leavings.disposable {
                scratch.walk(Path::new(folder), &mut |path, metadata| {
                    if metadata.is_dir() {
                        return !run_folders.iter().any(|folder| folder == path);
                    }
                    deleted += u64::from(scratch.folder.remove_file(path).is_ok());
                    false
                });
            }
            deleted
        })
        .await
        .unwrap_or_default()
    }

    /// How much space is left. The limit is counted as the kubelet counts that of an `emptyDir`: by the blocks of all files.
    ///
    /// Fails if the volume does not say how much of it is free.
    pub async fn space(&self) -> io::Result<Space> {
        let measured = self.blocking(|scratch| {
            let volume = rustix::fs::fstatvfs(&*scratch.folder)?;
            let free = volume.f_bavail.saturating_mul(volume.f_frsize);
            if scratch.limit == 0 {
                return Ok(Space { free, reserved: RESERVED_BYTES });
            }
            let free = free.min(scratch.limit.saturating_sub(scratch.used()));
            Ok(Space { free, reserved: scratch.limit / RESERVED_SHARE })
        });
        measured.await.unwrap_or_else(|| Err(ErrorKind::Other.into()))
    }

    fn used(&self) -> u64 {
        let mut blocks: u64 = 0;
        self.walk(Path::new("."), &mut |_, metadata| {
            blocks = blocks.saturating_add(metadata.blocks());
            metadata.is_dir()
        });
        blocks.saturating_mul(BLOCK_BYTES)
    }

    /// The folders in which each run has one of its own.
    fn run_folders(&self) -> impl Iterator<Item = PathBuf> {
        let Leavings { roots, run_folder, .. } = self.leavings;
        roots.iter().map(move |root| Path::new(root).join(run_folder))
    }

    fn delete_folder(&self, path: &Path) {
        if let Err(error) = self.folder.remove_dir_all(path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, folder = %path.display(), "deleting the files of a run failed");
        }
    }

    /// The names in a folder; none if there is no such folder.
    fn names(&self, folder: &Path) -> Vec<String> {
        let entries = self.folder.read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Visits what lies below a folder; a folder that `visit` agrees to is visited in turn. Links are not followed, and what
    /// cannot be read, or vanishes meanwhile, is left out.
    fn walk(&self, folder: &Path, visit: &mut dyn FnMut(&Path, &Metadata) -> bool) {
        let mut left = vec![folder.to_owned()];
        while let Some(folder) = left.pop() {
            for entry in self.folder.read_dir(&folder).into_iter().flatten().flatten() {
                let path = folder.join(entry.file_name());
                if entry.metadata().is_ok_and(|metadata| visit(&path, &metadata) && metadata.is_dir()) {
                    left.push(path);
                }
            }
        }
    }

    /// Does it on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> T + Send + 'static) -> Option<T> {
        let scratch = self.clone();
        tokio::task::spawn_blocking(move || work(&scratch)).await.ok()
    }
}

/// The UUID that a folder is named by, if it is spelled as the worker spells it.
fn own_name(name: &str) -> Option<Uuid> {
    Uuid::try_parse(name).ok().filter(|uuid| uuid.to_string() == name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    static LEAVINGS: Leavings =
        Leavings { roots: &["input", "output"], run_folder: "jobs", disposable: &["output"] };

    /// A folder that is deleted with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("darkroom-scratch-{}", Uuid::new_v4().simple()));
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn file(&self, path: &str, size: usize) -> PathBuf {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, vec![7; size]).unwrap();
            path
        }

        fn scratch(&self, limit: u64) -> Scratch {
            Scratch::open(&self.0, limit, &LEAVINGS).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[tokio::test]
    async fn the_folders_of_a_run_go_and_those_of_others_stay() {
        let folder = Folder::new();
        let (over, held, unknown) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
        let file = |root: &str, run: &Uuid| folder.file(&format!("{root}/jobs/{run}/deep/er/x.png"), 9);
        let gone = [file("input", &over), file("output", &over)];
        let (kept, left) = (file("output", &held), file("input", &unknown));
        let upper = unknown.to_string().to_uppercase();
        let others =
            [folder.file("output/jobs/mine/x.png", 9), folder.file(&format!("input/jobs/{upper}/x"), 9)];
        let scratch = folder.scratch(0);

        scratch.delete(vec![over, Uuid::new_v4()]).await;
        assert!(gone.iter().all(|file| !file.exists() && !file.ancestors().nth(3).unwrap().exists()));
        assert!(kept.exists() && left.exists());

        scratch.delete_all_but(HashSet::from([held])).await;
        assert!(kept.exists() && !left.exists());
        assert!(others.iter().all(|file| file.exists()), "not named by a worker");
    }

    #[tokio::test]
    async fn only_disposable_files_outside_of_runs_are_deleted() {
        let folder = Folder::new();
        let run = Uuid::new_v4();
        let gone = [folder.file("output/a.png", 1), folder.file("output/3d/b/c.glb", 1)];
        let kept = [
            folder.file(&format!("output/jobs/{run}/a.png"), 1),
            folder.file("input/example.png", 1),
            folder.file("config.json", 1),
        ];
        assert_eq!(folder.scratch(0).delete_disposable().await, 2);
        assert!(gone.iter().all(|file| !file.exists()));
        assert!(kept.iter().all(|file| file.exists()));
    }

    #[tokio::test]
    async fn no_link_leads_out_of_the_folder() {
        let (folder, outside) = (Folder::new(), Folder::new());
        let run = Uuid::new_v4();
        let kept = [outside.file(&format!("{run}/secret"), 1), outside.file("secret", 1)];
        for root in ["input", "output"] {
            fs::create_dir_all(folder.0.join(root)).unwrap();
            symlink(&outside.0, folder.0.join(root).join("jobs")).unwrap();
        }
        symlink(&outside.0, folder.0.join("output/folder")).unwrap();
        symlink(outside.0.join("secret"), folder.0.join("output/file")).unwrap();
        let scratch = folder.scratch(1 << 20);

        scratch.delete(vec![run]).await;
        scratch.delete_all_but(HashSet::new()).await;
        scratch.delete_disposable().await;
        assert!(kept.iter().all(|file| file.exists()));

        // A run's own folder that is, or holds, a link.
        let own = folder.0.join(format!("output/jobs/{run}"));
        fs::create_dir_all(&own).unwrap();
        symlink(&outside.0, own.join("link")).unwrap();
        scratch.delete(vec![run]).await;
        assert!(!own.exists());
        symlink(&outside.0, &own).unwrap();
        scratch.delete_all_but(HashSet::new()).await;
        assert!(kept.iter().all(|file| file.exists()));
    }

    #[tokio::test]
    async fn space_is_low_when_nine_tenths_of_the_limit_are_used() {
        let folder = Folder::new();
        let scratch = folder.scratch(10 << 20);
        folder.file("input/a", 8 << 20);
        let space = scratch.space().await.unwrap();
        assert!((1 << 20..=2 << 20).contains(&space.free), "{space:?}");
        assert!(!space.is_low());
        folder.file("cache/b", 1 << 20);
        assert!(scratch.space().await.unwrap().is_low());
        folder.file("cache/c", 2 << 20);
        assert_eq!(scratch.space().await.unwrap().free, 0);
        fs::remove_dir_all(folder.0.join("cache")).unwrap();
        assert!(!scratch.space().await.unwrap().is_low());
    }

    #[tokio::test]
    async fn a_volume_without_a_limit_is_measured_itself() {
        let space = Folder::new().scratch(0).space().await.unwrap();
        assert!(space.free > 0);
        assert_eq!(space.reserved, RESERVED_BYTES);
    }
}
