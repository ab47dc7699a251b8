//! How long runs took lately.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use super::kind::Kind;

/// How many runs of a kind are remembered.
const RUNS: usize = 8;

/// How many kinds are remembered; those that were not seen for longest go first.
const KINDS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// From how many runs on the shortest counts as an exception.
const EXCEPTIONS_FROM: usize = 4;

/// The durations of the last runs of each kind of work, and of all together.
#[derive(Debug)]
pub(super) struct History {
    by_kind: LruCache<Kind, Recent>,
    all: Recent,
}

#[derive(Debug, Default)]
struct Recent(VecDeque<Duration>);

impl Default for History {
    fn default() -> Self {
        Self { by_kind: LruCache::new(KINDS), all: Recent::default() }
    }
}

impl History {
    /// A run of that kind has succeeded.
    pub(super) fn add(&mut self, kind: Kind, took: Duration) {
        self.by_kind.get_or_insert_mut(kind, Recent::default).add(took);
        self.all.add(took);
    }

    /// How long a run of that kind takes at least, as a rule. One of a kind that is new is taken for any other.
    pub(super) fn usual(&mut self, kind: Kind) -> Option<Duration> {
        self.by_kind.get(&kind).unwrap_or(&self.all).shortest()
    }
}

impl Recent {
    fn add(&mut self, took: Duration) {
        if self.0.len() == RUNS {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    /// The shortest, but for one exception: a run whose results were cached is no sample for the others.
    fn shortest(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(usize::from(sorted.len() >= EXCEPTIONS_FROM)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(seconds: &[u64]) -> Option<u64> {
        let mut history = History::default();
        seconds.iter().for_each(|took| history.add(Kind::numbered(0), Duration::from_secs(*took)));
        history.usual(Kind::numbered(0)).map(|usual| usual.as_secs())
    }

    #[test]
    fn the_shortest_of_the_last_runs_counts_but_for_one() {
        assert_eq!(usual(&[]), None);
        assert_eq!(usual(&[9, 5, 7]), Some(5));
        assert_eq!(usual(&[9, 5, 7, 6]), Some(6));
        assert_eq!(usual(&[9, 5, 7, 6, 1, 9]), Some(5));
        assert_eq!(usual(&[1, 1, 5, 5, 5, 5, 5, 5, 5, 5]), Some(5));
    }

    #[test]
    fn each_kind_has_a_history_of_its_own_and_a_new_one_that_of_all() {
        let mut history = History::default();
        history.add(Kind::numbered(1), Duration::from_secs(2));
        history.add(Kind::numbered(2), Duration::from_secs(60));
        let seconds = [1, 2, 3].map(|kind| history.usual(Kind::numbered(kind)).unwrap().as_secs());
        assert_eq!(seconds, [2, 60, 2]);
        for kind in 10..1_000 {
            history.add(Kind::numbered(kind), Duration::from_secs(5));
        }
        assert_eq!(history.by_kind.len(), KINDS.get());
    }
}
