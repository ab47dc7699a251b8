//! A shipped program as a process of its own, and its figures in Linux.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use integration_tests::{binaries, wait};

/// The unit of CPU times in `/proc`: user space sees 100 ticks a second on every Linux (`proc_pid_stat(5)`, `USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// A running program. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    started: Instant,
    logged: Receiver<(Instant, String)>,
}

/// Memory in megabytes of 10^6 bytes.
pub(crate) struct Memory {
    /// What is resident now.
    pub(crate) resident: f64,
    /// The most that ever was.
    pub(crate) peak: f64,
}

impl Program {
    /// Starts a program with exactly these variables.
    pub(crate) fn start(name: &str, variables: &[(String, String)]) -> Result<Self> {
        let mut command = Command::new(binaries::executable(name));
        command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        let stderr = child.stderr.take().context("the program has no standard error")?;
        let (sender, logged) = channel();
        // Reads to the end, so that the program never waits for a reader.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send((Instant::now(), line));
            }
        });
        Ok(Self { child, started, logged })
    }

    /// When the process was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Blocks until it logs that message, and returns the time from its start until then.
    pub(crate) fn logs(&self, message: &str) -> Result<Duration> {
        let wanted = format!(r#""message":"{message}""#);
        loop {
            let (at, line) = self
                .logged
                .recv_timeout(wait::TIMEOUT)
                .with_context(|| format!("the program does not log `{message}`"))?;
            if line.contains(&wanted) {
                return Ok(at - self.started);
            }
        }
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = self.proc("status")?;
        let megabytes = |field: &str| -> Result<f64> {
            let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            let kibibytes: f64 = value.context("no such field")?.trim().trim_end_matches(" kB").parse()?;
            Ok(kibibytes * 1024.0 / 1e6)
        };
        Ok(Memory { resident: megabytes("VmRSS")?, peak: megabytes("VmHWM")? })
    }

    /// The CPU time that all of its threads have used, in user space and in the kernel.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The second field, the name in brackets, may hold anything.
        let (_, fields) = stat.rsplit_once(") ").context("an unknown form of /proc/<pid>/stat")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks =
            |index: usize| -> Result<u32> { Ok(fields.get(index).context("too few fields")?.parse()?) };
        Ok(TICK * (ticks(11)? + ticks(12)?))
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
