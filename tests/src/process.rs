//! A shipped program as a process of its own: what it logs and prints, and the signals it gets.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::wait;

/// A running program. Dropping it kills it.
pub struct Process {
    child: Child,
    logged: Lines,
    printed: Lines,
}

impl Process {
    /// Starts a program with exactly these variables.
    pub fn start(name: &str, variables: &[(String, String)]) -> Self {
        Self::start_with(name, &[], variables)
    }

    /// Starts a program with these arguments and exactly these variables.
    pub fn start_with(name: &str, arguments: &[&str], variables: &[(String, String)]) -> Self {
        let mut command = Command::new(crate::binaries::executable(name));
        command.args(arguments).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let logged = Lines::read(child.stderr.take().unwrap());
        let printed = Lines::read(child.stdout.take().unwrap());
        Self { child, logged, printed }
    }

    /// All that it has logged, on standard error. Panics before [`Self::exited`].
    pub fn lines(&self) -> Vec<String> {
        self.logged.all()
    }

    /// All that it has printed, on standard output. Panics before [`Self::exited`].
    pub fn printed(&self) -> Vec<String> {
        self.printed.all()
    }

    /// What has been read so far of what it logs, for a condition to wait on. Lines may follow that the program wrote
    /// before its last answer.
    pub fn lines_so_far(&self) -> Vec<String> {
        self.logged.so_far()
    }

    /// The same of what it prints.
    pub fn printed_so_far(&self) -> Vec<String> {
        self.printed.so_far()
    }

    /// Waits for a log line with that message, and returns its fields.
    pub async fn logged(&mut self, message: &str) -> Value {
        let logged = |process: &Self| {
            process.lines_so_far().iter().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                (line["message"] == message).then_some(line)
            })
        };
        self.found(&format!("the log line `{message}`"), logged).await
    }

    /// Waits for a printed line in which `find` finds a value, and returns that.
    pub async fn wait_for_output<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        self.found(what, |process| process.printed_so_far().iter().find_map(|line| find(line))).await
    }

    async fn found<T>(&mut self, what: &str, find: impl Fn(&Self) -> Option<T>) -> T {
        wait::until(what, async || {
            let found = find(self);
            if found.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("the program exited with {status} before {what}");
            }
            found
        })
        .await
    }

    /// Sends a signal (`TERM`, `KILL`, `STOP`, `CONT`).
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([format!("-{signal}"), pid]).status().unwrap().success());
    }

    /// Its peak resident memory, in bytes (Linux).
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Its exit status, if it has exited.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it exits. All that it has logged and printed has been read then.
    pub async fn exited(&mut self) -> ExitStatus {
        // Not by `wait::until`, whose future cannot be spawned.
        let deadline = Instant::now() + wait::TIMEOUT;
        let status = loop {
            if let Some(status) = self.try_wait() {
                break status;
            }
            assert!(Instant::now() < deadline, "timed out waiting for the program to exit");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.logged.finish();
        self.printed.finish();
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the program\n{}", self.lines_so_far().join("\n"));
            eprintln!("--- output of the program\n{}", self.printed_so_far().join("\n"));
        }
    }
}

/// The lines of a pipe, read by a thread of their own.
struct Lines {
    read: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn read(pipe: impl Read + Send + 'static) -> Self {
        let read = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&read);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                collected.lock().unwrap().push(line);
            }
        });
        Self { read, reader: Some(reader) }
    }

    fn so_far(&self) -> Vec<String> {
        self.read.lock().unwrap().clone()
    }

    fn all(&self) -> Vec<String> {
        assert!(self.reader.is_none(), "the program may still write: wait until it exits");
        self.so_far()
    }

    /// Reads until the pipe is closed.
    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}
