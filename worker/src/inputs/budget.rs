//! How many bytes the inputs of one task may still have: taken before there is memory for them, by all that are fetched
//! at once.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// What is left for the inputs of one task.
#[derive(Debug)]
pub(super) struct InputBudget {
    max_bytes: u64,
    left: AtomicU64,
}

/// The inputs together have more bytes than they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the inputs of the task have more than {max_bytes} bytes together")]
pub(super) struct Spent {
    max_bytes: u64,
}

impl InputBudget {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, left: AtomicU64::new(max_bytes) }
    }

    /// Takes so many bytes; nothing is taken when they are not left.
    pub(super) fn take(&self, bytes: u64) -> Result<(), Spent> {
        let taken =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| Spent { max_bytes: self.max_bytes })
    }
}

/// A body that arrives piece by piece, within a budget.
#[derive(Debug)]
pub(super) struct Body<'a> {
    budget: &'a InputBudget,
    is_announced: bool,
    bytes: Vec<u8>,
}

impl<'a> Body<'a> {
    /// One of so many bytes, if the sender announces its length. It cannot have more then: the protocol limits it.
    pub(super) fn new(budget: &'a InputBudget, announced: Option<u64>) -> Result<Self, Spent> {
        let length = announced.unwrap_or(0);
        budget.take(length)?;
        let bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        Ok(Self { budget, is_announced: announced.is_some(), bytes })
    }

    /// The next piece of it.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Spent> {
        if !self.is_announced {
            self.budget.take(piece.len() as u64)?;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// All of it, in no more memory than it needs.
    pub(super) fn finish(mut self) -> Bytes {
        self.bytes.shrink_to_fit();
        self.bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_takes_another_has_not() {
        let budget = InputBudget::new(10);
        assert_eq!(budget.take(6), Ok(()));
        assert_eq!(budget.take(5), Err(Spent { max_bytes: 10 }));
        assert_eq!(budget.take(4), Ok(()));
        assert!(budget.take(1).is_err());
        assert_eq!(budget.take(0), Ok(()));
    }

    #[test]
    fn an_announced_body_takes_its_bytes_at_once_and_any_other_as_they_come() {
        let budget = InputBudget::new(10);
        assert!(Body::new(&budget, Some(11)).is_err());
        let mut announced = Body::new(&budget, Some(6)).unwrap();
        let mut other = Body::new(&budget, None).unwrap();
        announced.push(b"abcdef").unwrap();
        other.push(b"ghij").unwrap();
        assert!(other.push(b"k").is_err());
        assert_eq!((&announced.finish()[..], &other.finish()[..]), (&b"abcdef"[..], &b"ghij"[..]));
    }
}
