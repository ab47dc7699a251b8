//! How many bytes may still be received.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::client::CallError;

/// Bytes that several transfers share.
#[derive(Debug)]
pub(super) struct TransferBudget {
    left: Semaphore,
    max: u64,
}

impl TransferBudget {
    pub(super) fn new(max: u64) -> Self {
        let bytes = usize::try_from(max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { left: Semaphore::new(bytes), max }
    }

    /// Takes that many bytes. They are returned when the permit is dropped, and used up when it is forgotten.
    pub(super) fn take(&self, bytes: usize) -> Result<SemaphorePermit<'_>, CallError> {
        let bytes = u32::try_from(bytes).map_err(|_| self.exceeded())?;
        self.left.try_acquire_many(bytes).map_err(|_| self.exceeded())
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.left.available_permits()
    }

    /// The error for more bytes than are left.
    pub(super) fn exceeded(&self) -> CallError {
        CallError::TooLarge(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broken_transfer_took_is_given_back() {
        let budget = TransferBudget::new(10);
        budget.take(4).unwrap().forget();
        let broken = budget.take(6).unwrap();
        assert_eq!(budget.take(1).unwrap_err(), CallError::TooLarge(10));
        drop(broken);
        assert_eq!(budget.left(), 6);
    }

    #[test]
    fn any_bound_is_fine() {
        assert!(TransferBudget::new(u64::MAX).take(1).is_ok());
        assert!(TransferBudget::new(0).take(1).is_err());
    }
}
