//! Where a task's files stand in the bucket: predecessors' layout, with their random part made deterministic.
//!
//! ```text
//! <prefix>/<id>/<id>-<s>-<n>.<ext>   the n-th file, n from 1
//! <prefix>/<id>/<id>-<s>.out         the response of the runtime; written last, so it is the commit
//! _darkroom/...                      Darkroom's own
//! ```
//!
//! `<s>` is 16 hex digits of a hash of prefix, id and submission: a redelivery overwrites its own files and nobody else's.
//! Where an `.out` of somebody else has that key all the same, the next hash is used ([`OutputKeys::next`]), which every
//! delivery of the submission finds in the same order.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ids::RESERVED_SEGMENT;
use crate::{OutputPrefix, Submission, TaskId};

/// S3's limit for a key, in bytes of UTF-8 (S3 user guide, "Creating object key names").
pub const MAX_KEY_BYTES: usize = 1024;

/// A key below which nothing is ever stored: reading it shows what a role allows.
pub const PROBE: &str = "_darkroom/probe";

/// The longest extension of a stored file, in bytes: `safetensors`.
pub const MAX_EXTENSION_BYTES: usize = 11;

/// How many bytes of a hash are in a file's name: 64 bits, which no two submissions of an id share by chance.
const HASH_BYTES: usize = 8;

/// The longest that can follow `<prefix>/<id>/<id>` in a key: `-<hash>-<n>.<ext>`, n below 100,000.
const LONGEST_ENDING: usize = 1 + 2 * HASH_BYTES + 1 + 5 + 1 + MAX_EXTENSION_BYTES;

/// The keys of one submission's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputKeys {
    folder: String,
    /// What every file name begins with: the id.
    name: String,
    /// The hash of prefix, id and submission.
    identity: [u8; 32],
    /// How many keys of this submission others have.
    passed: u32,
    former: String,
}

impl OutputKeys {
    /// The keys for that id, prefix and submission.
    pub fn new(prefix: &OutputPrefix, id: &TaskId, submission: &Submission) -> Self {
        let mut identity = Sha256::new();
        for part in [prefix.as_str(), &id.to_json().to_string(), submission.as_str()] {
            // With its length, so that no two triples are one text.
            identity.update((part.len() as u64).to_be_bytes());
            identity.update(part);
        }
        let former = hash(submission)[..8].to_owned();
        Self {
            folder: folder(prefix, id),
            name: id.to_string(),
            identity: identity.finalize().into(),
            passed: 0,
            former,
        }
    }

    /// The keys of the same submission when an object of somebody else is at [`Self::out`]. They are the same for every
    /// delivery.
    pub fn next(&self) -> Self {
        Self { passed: self.passed + 1, ..self.clone() }
    }

    fn stem(&self) -> String {
        let hash =
            Sha256::new().chain_update(self.identity).chain_update(self.passed.to_be_bytes()).finalize();
        format!("{}/{}-{}", self.folder, self.name, hex(&hash[..HASH_BYTES]))
    }

    /// The key of the `n`-th file (from 1); `extension` without its dot.
    pub fn file(&self, n: usize, extension: &str) -> String {
        format!("{}-{n}.{extension}", self.stem())
    }

    /// The key of the `.out` file, which is the commit of the task.
    pub fn out(&self) -> String {
        format!("{}.out", self.stem())
    }

    /// The key that earlier versions gave the `.out` file, with 8 hex digits of a hash of the submission alone: others may
    /// have it, too.
    pub fn former_out(&self) -> String {
        format!("{}/{}-{}.out", self.folder, self.name, self.former)
    }

    /// The folder that all of them are in, without a trailing `/`.
    pub fn folder(&self) -> &str {
        &self.folder
    }
}

/// `s3://bucket/<prefix>/<id>`: where the files will be, as the front door answers it.
pub fn output_location(bucket: &str, prefix: &OutputPrefix, id: &TaskId) -> String {
    s3_uri(bucket, &folder(prefix, id))
}

/// `s3://bucket/key`.
pub fn s3_uri(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

/// Whether every key of such a task fits S3's 1,024 bytes.
pub fn fits(prefix: &OutputPrefix, id: &TaskId) -> bool {
    prefix.with_slash().len() + 2 * id.as_str().len() + 1 + LONGEST_ENDING <= MAX_KEY_BYTES
}

/// Whether the `.out` file of such a task fits. Earlier versions accepted longer names than [`fits`] does.
pub(crate) fn out_fits(prefix: &OutputPrefix, id: &TaskId) -> bool {
    let longest = prefix.with_slash().len() + 2 * id.as_str().len() + 1 + 1 + 2 * HASH_BYTES + ".out".len();
    longest <= MAX_KEY_BYTES
}

/// The key under which a message that cannot be read is kept whole.
pub fn unreadable(message_id: &str) -> String {
    format!("{RESERVED_SEGMENT}/unreadable/{message_id}.json")
}

/// The key of the journal of a message's attempts: give-backs, the cause of each failed attempt, and the failure for good.
pub fn attempts(message_id: &str) -> String {
    format!("{RESERVED_SEGMENT}/attempts/{message_id}.json")
}

/// The key under which a task that failed for good is kept, so that it can be submitted again.
pub fn failed(submission: &Submission) -> String {
    format!("{RESERVED_SEGMENT}/failed/{}.json", hash(submission))
}

/// The key of a task that is too large for a message (its claim check).
pub fn payload(submission: &Submission) -> String {
    format!("{RESERVED_SEGMENT}/tasks/{}.json", hash(submission))
}

/// The key of a file that a caller uploads as an input of a task. Whoever knows the key can use the file.
pub fn upload(name: Uuid) -> String {
    format!("{RESERVED_SEGMENT}/uploads/{name}")
}

/// Whether a key is that of an uploaded file.
pub fn is_upload(key: &str) -> bool {
    let name = key.rsplit('/').next().and_then(|name| Uuid::try_parse(name).ok());
    name.is_some_and(|name| upload(name) == key)
}

/// Whether a key is below the reserved prefix, with or without a `/` before it.
pub fn is_reserved(key: &str) -> bool {
    key.trim_start_matches('/').split('/').next() == Some(RESERVED_SEGMENT)
}

fn folder(prefix: &OutputPrefix, id: &TaskId) -> String {
    format!("{}{id}", prefix.with_slash())
}

/// A submission may hold any printable character, `/` among them; its hash may be part of a key.
fn hash(submission: &Submission) -> String {
    hex(&Sha256::digest(submission.as_str())[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(prefix: &str, id: &str) -> OutputKeys {
        let submission = Submission::parse("0190f3b2-0000-7000-8000-000000000000").unwrap();
        OutputKeys::new(
            &OutputPrefix::parse(prefix).unwrap(),
            &TaskId::from_json(&json!(id)).unwrap(),
            &submission,
        )
    }

    #[test]
    fn keys_follow_the_predecessors_layout() {
        let keys = keys("out", "task-0");
        let out = keys.out();
        let (stem, hash) = out.strip_suffix(".out").unwrap().rsplit_once('-').unwrap();
        assert_eq!(stem, "out/task-0/task-0");
        assert!(hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
        assert_eq!(keys.file(1, "png"), format!("out/task-0/task-0-{hash}-1.png"));
    }

    #[test]
    fn the_next_keys_are_others_and_always_the_same() {
        let (first, second) = (keys("out", "t"), keys("out", "t").next());
        assert_ne!(first.out(), second.out());
        assert_ne!(second.out(), second.next().out());
        assert_eq!(second, keys("out", "t").next());
        assert_eq!((second.folder(), second.former_out()), (first.folder(), first.former_out()));
    }

    #[test]
    fn ids_that_differ_in_their_json_type_only_share_no_keys() {
        let submission = Submission::parse("s").unwrap();
        let of =
            |id| OutputKeys::new(&OutputPrefix::default(), &TaskId::from_json(&id).unwrap(), &submission);
        assert_ne!(of(json!(7)).out(), of(json!("7")).out());
    }

    #[test]
    fn slashes_of_a_prefix_are_neither_lost_nor_doubled() {
        assert_eq!(keys("a/", "t").folder(), "a/t");
        assert_eq!(keys("/output", "t").folder(), "/output/t");
        assert_eq!(keys("", "t").folder(), "t");
    }

    #[test]
    fn an_id_counts_twice_towards_the_length_of_a_key() {
        let id = |n: usize| TaskId::from_json(&json!("x".repeat(n))).unwrap();
        let none = OutputPrefix::default();
        assert!(fits(&none, &id(494)));
        assert!(!fits(&none, &id(495)));
    }

    #[test]
    fn the_reserved_prefix_is_seen_with_and_without_a_slash() {
        assert!(is_reserved("_darkroom/x") && is_reserved("/_darkroom/x"));
        assert!(!is_reserved("_darkrooms/x"));
    }

    #[test]
    fn only_uploaded_files_have_keys_of_uploads() {
        let name = "0199c2f3-5b1e-4c3a-9d55-6a1f0c7e2b11";
        assert!(is_upload(&upload(Uuid::try_parse(name).unwrap())));
        for other in [
            format!("_darkroom/uploads/../tasks/{name}"),
            format!("_darkroom/tasks/{name}"),
            format!("uploads/{name}"),
            "_darkroom/uploads/x".to_owned(),
            format!("_darkroom/uploads/{}", name.to_uppercase()),
        ] {
            assert!(!is_upload(&other), "{other}");
        }
    }
}
