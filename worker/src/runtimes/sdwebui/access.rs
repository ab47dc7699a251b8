//! Who may use the server: any number of calls at once, or one that changes what the others would run with.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The right to use the server. It is fair: whoever wants the server alone waits only for calls that came before.
#[derive(Debug, Default)]
pub(super) struct Access(Arc<RwLock<()>>);

/// The server, as long as this is held.
#[derive(Debug)]
pub(super) enum Use {
    /// Others may post calls, too; nobody changes the server.
    Shared { _held: OwnedRwLockReadGuard<()> },
    /// Nobody else has a call there.
    Alone { _held: OwnedRwLockWriteGuard<()> },
}

/// The server for oneself.
#[derive(Debug)]
pub(super) struct Alone(OwnedRwLockWriteGuard<()>);

impl Access {
    /// Waits while somebody has, or wants, the server alone.
    pub(super) async fn shared(&self) -> Use {
        Use::Shared { _held: Arc::clone(&self.0).read_owned().await }
    }

    /// Waits until no call is posted.
    pub(super) async fn alone(&self) -> Alone {
        Alone(Arc::clone(&self.0).write_owned().await)
    }
}

impl Alone {
    /// Lets others post calls behind one's own, and nobody change the server before.
    pub(super) fn shared(self) -> Use {
        Use::Shared { _held: self.0.downgrade() }
    }

    /// Keeps the others away during one's own call.
    pub(super) fn kept(self) -> Use {
        Use::Alone { _held: self.0 }
    }
}
