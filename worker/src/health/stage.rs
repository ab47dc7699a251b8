//! The parts of a task's way, for its durations.

/// The way of a task through the worker, as the label of its durations names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A poll of the queue, empty or not.
    Receive,
    /// Fetching and checking inputs.
    Prepare,
    /// A prepared task waits for the runtime.
    Wait,
    /// The runtime works on it.
    Run,
    /// Uploading the results.
    Store,
    /// Writing the `.out` file.
    Commit,
    /// Publishing the notification.
    Notify,
}

impl Stage {
    /// All of them, in the order in which a task passes them.
    pub const ALL: [Self; 7] =
        [Self::Receive, Self::Prepare, Self::Wait, Self::Run, Self::Store, Self::Commit, Self::Notify];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Prepare => "prepare",
            Self::Wait => "wait",
            Self::Run => "run",
            Self::Store => "store",
            Self::Commit => "commit",
            Self::Notify => "notify",
        }
    }
}
