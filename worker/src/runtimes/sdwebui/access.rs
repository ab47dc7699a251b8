//! Access to the server: shared by any number of calls, or exclusive for one that changes its state.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// A fair read-write lock on the server: exclusive access waits only for calls that came before.
#[derive(Debug, Default)]
pub(super) struct Access(Arc<RwLock<()>>);

/// Access to the server until it is dropped.
#[derive(Debug)]
pub(super) enum ServerGuard {
    /// Others may post calls, too; its state does not change.
    Shared { _held: OwnedRwLockReadGuard<()> },
    /// No other call is posted.
    Exclusive { _held: OwnedRwLockWriteGuard<()> },
}

/// Exclusive access.
#[derive(Debug)]
pub(super) struct ExclusiveGuard(OwnedRwLockWriteGuard<()>);

impl Access {
    /// Waits while a call has, or waits for, exclusive access.
    pub(super) async fn lock_shared(&self) -> ServerGuard {
        ServerGuard::Shared { _held: Arc::clone(&self.0).read_owned().await }
    }

    /// Waits until no call is posted.
    pub(super) async fn lock_exclusive(&self) -> ExclusiveGuard {
        ExclusiveGuard(Arc::clone(&self.0).write_owned().await)
    }
}

impl ExclusiveGuard {
    /// Allows other calls behind this one, without a change of the server in between.
    pub(super) fn downgrade(self) -> ServerGuard {
        ServerGuard::Shared { _held: self.0.downgrade() }
    }

    /// Keeps exclusive access during the call.
    pub(super) fn exclusive(self) -> ServerGuard {
        ServerGuard::Exclusive { _held: self.0 }
    }
}
