//! The messages that this worker holds, in a small file: the next process in the same pod adopts or releases them.
//!
//! Only the process that comes after this one, on the same host, makes use of it. Another pod would have neither the runtime
//! that does the work nor the right to the handles.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::breaker::{Broken, SavedTask};
use crate::cloud::Delivery;
use crate::runtimes::RunHandle;

/// One message that a worker holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The delivery. Its body is kept only while the runtime has the job, and only in a file.
    pub delivery: Delivery,
    /// When the message becomes visible, if its lease is not extended any more.
    pub hidden_until: SystemTime,
    /// The runtime's identification of the job, once it has it.
    pub run: Option<RunHandle>,
    /// Whether the runtime has begun to work on it.
    #[serde(default)]
    pub has_begun: bool,
    /// Whether nothing more is expected of that run: it failed, or was interrupted.
    #[serde(default)]
    pub is_over: bool,
    /// Whether that run was begun by another process than the one that follows it.
    #[serde(default)]
    pub is_adopted: bool,
    /// Whether no other message has been held beside it.
    #[serde(default)]
    pub is_alone: bool,
}

impl Claim {
    /// The run that a new process adopts. A run that killed the process that had adopted it is not adopted again.
    pub fn run_to_adopt(&self) -> Option<&RunHandle> {
        self.run.as_ref().filter(|_| !self.is_over && !self.is_adopted)
    }

    /// Whether the process may have died of it: its run had begun, or it was the only message.
    pub fn is_attempt(&self) -> bool {
        self.has_begun || self.is_alone
    }
}

/// The claims of one worker. Every change is written at once, so that it survives a killed process.
#[derive(Debug, Default)]
pub struct Claims {
    file: Option<ClaimFile>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// By receipt handle: SQS may hand out one message twice.
    claims: BTreeMap<String, Claim>,
    /// Whether the previous process held messages when it died, and no task has succeeded since.
    after_crash: bool,
    broken: Option<Broken>,
    succeeded: Option<SavedTask>,
}

/// The state of the previous process.
#[derive(Debug, Default, PartialEq)]
pub struct Recovered {
    /// The messages that it had taken.
    pub claims: Vec<Claim>,
    /// The runtime's process, if it had found it broken, or the one after it had not been checked.
    pub broken: Option<Broken>,
    /// A task that succeeded, to check the runtime with.
    pub succeeded: Option<SavedTask>,
}

#[derive(Debug)]
struct ClaimFile {
    path: PathBuf,
    host: String,
    /// Held as long as the process lives: two workers must not take over from each other.
    _lock: File,
}

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    host: String,
    claims: Vec<Claim>,
    #[serde(default)]
    broken: Option<Broken>,
    #[serde(default)]
    succeeded: Option<SavedTask>,
}

impl Claims {
    /// The claims in the file at `path`, under the name of this `host`; and the state of the previous process
    /// there, if it was on this host.
    ///
    /// Fails if the file cannot be written, or if another process keeps its claims there.
    pub fn open(path: &Path, host: String) -> io::Result<(Self, Recovered)> {
        let lock = File::create(path.with_extension("lock"))?;
        lock.try_lock()?;
        let record = fs::read(path).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        let recovered = record.filter(|record| record.host == host).map_or_else(
            Recovered::default,
            |Record { claims, broken, succeeded, .. }| Recovered { claims, broken, succeeded },
        );
        let file = ClaimFile { path: path.to_owned(), host, _lock: lock };
        let (broken, succeeded) = (recovered.broken.clone(), recovered.succeeded.clone());
        let claims: BTreeMap<String, Claim> = recovered
            .claims
            .iter()
            .map(|claim| (claim.delivery.receipt_handle.clone(), claim.clone()))
            .collect();
        let held = Held { after_crash: !claims.is_empty(), claims, broken, succeeded };
        file.replace(&held)?;
        Ok((Self { file: Some(file), held: Mutex::new(held) }, recovered))
    }

    /// The message is hidden until then; the first time, it has just been taken.
    pub fn set_hidden_until(&self, delivery: &Delivery, until: SystemTime) {
        self.change(|held| {
            let is_alone = held.claims.is_empty();
            if !held.claims.contains_key(&delivery.receipt_handle) {
                held.claims.values_mut().for_each(|other| other.is_alone = false);
            }
            let fresh = || Claim {
                delivery: delivery.without_body(),
                hidden_until: until,
                run: None,
                has_begun: false,
                is_over: false,
                is_adopted: false,
                is_alone,
            };
            held.claims.entry(delivery.receipt_handle.clone()).or_insert_with(fresh).hidden_until = until;
        });
    }

    /// The runtime is about to get the job, and will know it by this handle.
    pub fn run_started(&self, delivery: &Delivery, run: RunHandle) {
        self.change(|held| {
            if let Some(claim) = held.claims.get_mut(&delivery.receipt_handle) {
                if self.file.is_some() {
                    claim.delivery.body.clone_from(&delivery.body);
                }
                claim.run = Some(run);
                claim.is_over = false;
            }
        });
    }

    /// The runtime has begun to work on it.
    pub fn run_began(&self, delivery: &Delivery) {
        self.change_one(delivery, |claim| claim.has_begun = true);
    }

    /// This process has adopted the run.
    pub fn run_adopted(&self, delivery: &Delivery) {
        self.change_one(delivery, |claim| claim.is_adopted = true);
    }

    /// The run failed or was interrupted: the worker does not wait for it any more.
    pub fn run_ended(&self, delivery: &Delivery) {
        self.change_one(delivery, |claim| claim.is_over = true);
    }

    /// Whether one message is taken at a time, because the previous process may have died of one of several.
    pub fn after_crash(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).after_crash
    }

    /// The runtime's identification of the job, if it is known.
    pub fn run_of(&self, delivery: &Delivery) -> Option<RunHandle> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.claims.get(&delivery.receipt_handle)?.run.clone()
    }

    /// The runs that this worker waits for.
    pub fn runs(&self) -> Vec<RunHandle> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.claims.values().filter(|claim| !claim.is_over).filter_map(|claim| claim.run.clone()).collect()
    }

    /// The message is deleted or released, or its lease is lost.
    pub fn remove(&self, delivery: &Delivery) {
        self.change(|held| drop(held.claims.remove(&delivery.receipt_handle)));
    }

    /// The runtime's process is broken, or the one after it is yet to be checked; or neither any more.
    pub fn set_broken(&self, broken: Option<Broken>) {
        self.change(|held| held.broken = broken);
    }

    /// A task has succeeded, so the worker is out of the crash mode.
    pub fn task_succeeded(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).after_crash = false;
    }

    /// Sets the known-good task.
    pub fn set_known_good(&self, task: SavedTask) {
        self.change(|held| held.succeeded = Some(task));
    }

    /// Discards the known-good task.
    pub fn discard_known_good(&self) {
        self.change(|held| held.succeeded = None);
    }

    fn change_one(&self, delivery: &Delivery, change: impl FnOnce(&mut Claim)) {
        self.change(|held| {
            if let Some(claim) = held.claims.get_mut(&delivery.receipt_handle) {
                change(claim);
            }
        });
    }

    /// The file is written while the claims are locked: it is small, and its last state must be that of the last change.
    fn change(&self, change: impl FnOnce(&mut Held)) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut held);
        if let Some(file) = &self.file
            && let Err(error) = file.replace(&held)
        {
            tracing::warn!(%error, "writing the state file failed");
        }
    }
}

impl ClaimFile {
    /// Replaces the file as a whole: a process that is killed in between leaves the old one or the new one. Nobody else
    /// may read it, since it holds receipt handles and bodies.
    fn replace(&self, held: &Held) -> io::Result<()> {
        let claims = held.claims.values().cloned().collect();
        let (broken, succeeded) = (held.broken.clone(), held.succeeded.clone());
        let record = Record { host: self.host.clone(), claims, broken, succeeded };
        let draft = self.path.with_extension("draft");
        let mut options = fs::OpenOptions::new();
        let mut written = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        written.write_all(&serde_json::to_vec(&record)?)?;
        fs::rename(&draft, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    fn delivery(id: &str) -> Delivery {
        Delivery {
            body: "the body".to_owned(),
            receipt_handle: format!("handle of {id}"),
            asked: Instant::now(),
            received_at: SystemTime::now(),
            message_id: id.to_owned(),
            receive_count: 2,
            sent_at: None,
            trace_header: None,
        }
    }

    fn file() -> PathBuf {
        std::env::temp_dir().join(format!("darkroom-claims-{}.json", uuid::Uuid::new_v4().simple()))
    }

    fn open(path: &Path, host: &str) -> (Claims, Vec<Claim>) {
        let (claims, recovered) = Claims::open(path, host.to_owned()).unwrap();
        (claims, recovered.claims)
    }

    #[test]
    fn the_next_process_on_the_same_host_recovers_open_claims() {
        let path = file();
        let until = SystemTime::now() + Duration::from_secs(60);
        let (claims, recovered) = open(&path, "pod");
        assert_eq!(recovered, []);
        for id in ["staged", "running", "done"] {
            claims.set_hidden_until(&delivery(id), until);
        }
        claims.run_started(&delivery("running"), RunHandle(json!({ "prompt_id": "p" })));
        claims.remove(&delivery("done"));
        drop(claims);

        let (_, recovered) = open(&path, "pod");
        let [running, staged] = recovered.as_slice() else { panic!("{recovered:?}") };
        assert_eq!((running.delivery.body.as_str(), staged.delivery.body.as_str()), ("the body", ""));
        assert_eq!(running.run, Some(RunHandle(json!({ "prompt_id": "p" }))));
        assert_eq!((staged.run.as_ref(), staged.hidden_until), (None, until));
        assert_eq!(staged.delivery.receipt_handle, "handle of staged");
    }

    #[test]
    fn a_broken_runtime_stays_known_over_any_number_of_processes() {
        let path = file();
        let run = Some(RunHandle(json!({ "prompt_id": "p" })));
        let broken = Some(Broken { run, leaves_traces: true, is_replaced: false, failed_checks: 1 });
        open(&path, "pod").0.set_broken(broken.clone());
        for _ in 0..2 {
            assert_eq!(Claims::open(&path, "pod".to_owned()).unwrap().1.broken, broken);
        }
        open(&path, "pod").0.set_broken(None);
        assert_eq!(Claims::open(&path, "pod".to_owned()).unwrap().1, Recovered::default());
    }

    #[test]
    fn only_what_may_have_killed_the_process_is_charged() {
        let path = file();
        let until = SystemTime::now() + Duration::from_secs(60);
        let (claims, _) = open(&path, "pod");
        assert!(!claims.after_crash());
        for id in ["begun", "staged"] {
            claims.set_hidden_until(&delivery(id), until);
        }
        claims.run_began(&delivery("begun"));
        drop(claims);

        let (claims, recovered) = open(&path, "pod");
        assert!(claims.after_crash());
        assert_eq!(recovered.iter().map(Claim::is_attempt).collect::<Vec<_>>(), [true, false]);
        for claim in recovered {
            claims.remove(&claim.delivery);
        }
        claims.set_hidden_until(&delivery("alone"), until);
        drop(claims);

        let (claims, recovered) = open(&path, "pod");
        assert!(recovered[0].is_attempt(), "there was nothing else to die of");
        claims.task_succeeded();
        assert!(!claims.after_crash());
    }

    #[test]
    fn a_run_is_adopted_once_and_only_while_it_is_waited_for() {
        let path = file();
        let until = SystemTime::now() + Duration::from_secs(60);
        let (claims, _) = open(&path, "pod");
        for id in ["a", "b", "c"] {
            claims.set_hidden_until(&delivery(id), until);
            claims.run_started(&delivery(id), RunHandle(json!(id)));
        }
        claims.run_ended(&delivery("a"));
        claims.run_adopted(&delivery("b"));
        assert_eq!(claims.runs(), [RunHandle(json!("b")), RunHandle(json!("c"))]);
        drop(claims);
        let (_, recovered) = open(&path, "pod");
        let adopted: Vec<_> = recovered.iter().filter_map(Claim::run_to_adopt).collect();
        assert_eq!(adopted, [&RunHandle(json!("c"))]);
    }

    #[test]
    fn another_host_finds_nothing() {
        let path = file();
        let (claims, _) = open(&path, "pod");
        claims.set_hidden_until(&delivery("a"), SystemTime::now());
        drop(claims);
        assert_eq!(open(&path, "other pod").1, []);
    }

    #[test]
    fn a_file_that_is_in_use_is_refused() {
        let path = file();
        let _claims = open(&path, "pod");
        assert!(Claims::open(&path, "pod".to_owned()).is_err());
    }
}
