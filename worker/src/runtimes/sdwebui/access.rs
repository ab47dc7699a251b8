//! Who may use the server: any number of calls at once, or one that changes what the others would run with.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The right to use the server. It is fair: whoever wants the server alone waits only for calls that came before.
#[derive(Debug, Default)]
pub(super) struct Access(Arc<RwLock<()>>);

/// The server, as long as this is held.
#[derive(Debug)]
pub(super) enum ServerGuard {
    /// Others may post calls, too; nobody changes the server.
    Shared { _held: OwnedRwLockReadGuard<()> },
    /// Nobody else has a call there.
    Exclusive { _held: OwnedRwLockWriteGuard<()> },
}

/// The server for oneself.
#[derive(Debug)]
pub(super) struct ExclusiveGuard(OwnedRwLockWriteGuard<()>);

impl Access {
    /// Waits while somebody has, or wants, the server alone.
    pub(super) async fn lock_shared(&self) -> ServerGuard {
        ServerGuard::Shared { _held: Arc::clone(&self.0).read_owned().await }
    }

    /// Waits until no call is posted.
    pub(super) async fn lock_exclusive(&self) -> ExclusiveGuard {
        ExclusiveGuard(Arc::clone(&self.0).write_owned().await)
    }
}

impl ExclusiveGuard {
    /// Lets others post calls behind one's own, and nobody change the server before.
    pub(super) fn downgrade(self) -> ServerGuard {
        ServerGuard::Shared { _held: self.0.downgrade() }
    }

    /// Keeps the others away during one's own call.
    pub(super) fn exclusive(self) -> ServerGuard {
        ServerGuard::Exclusive { _held: self.0 }
    }
}
