//! Inputs that may be named again, kept in memory up to a bound; what was used longest ago goes first.
//!
//! Nothing is served from here unasked: the server of the input gets the version that is cached, and answers each time
//! whether that is still the one (a conditional request, RFC 9110). So an input that changed is never stale.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use url::Url;

use super::guard::Passage;

/// What an entry needs beside its key and its bytes, roughly: so that many small ones are bounded, too.
const ENTRY_BYTES: u64 = 256;

/// The cache of a worker. Empty and idle when its bound is 0.
pub(super) struct Cache {
    max_bytes: u64,
    kept: Mutex<Entries>,
}

struct Entries {
    entries: LruCache<Key, Version>,
    bytes: u64,
}

/// Where an input came from. A response from an allowed host is never used for a guarded request.
///
/// Not `Debug`: addresses hold secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Web(Passage, Url),
    Object { bucket: String, key: String },
}

/// One version of an input.
#[derive(Clone)]
pub(super) struct Version {
    /// A strong validator: no two versions share it (RFC 9110, section 8.8.1).
    pub(super) etag: String,
    pub(super) bytes: Bytes,
}

impl Cache {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, kept: Mutex::new(Entries { entries: LruCache::unbounded(), bytes: 0 }) }
    }

    /// The version that is here.
    pub(super) fn get(&self, key: &Key) -> Option<Version> {
        self.kept().entries.get(key).cloned()
    }

    /// Keeps a version in place of any other. One that is larger than the whole cache is not kept.
    pub(super) fn keep(&self, key: Key, version: Version) {
        let cost = cost(&key, &version);
        let mut kept = self.kept();
        if let Some(former) = kept.entries.pop(&key) {
            kept.bytes -= self::cost(&key, &former);
        }
        if cost > self.max_bytes {
            return;
        }
        while kept.bytes + cost > self.max_bytes {
            let Some((key, oldest)) = kept.entries.pop_lru() else { break };
            kept.bytes -= self::cost(&key, &oldest);
        }
        kept.entries.put(key, version);
        kept.bytes += cost;
    }

    fn kept(&self) -> MutexGuard<'_, Entries> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

fn cost(key: &Key, version: &Version) -> u64 {
    let address = match key {
        Key::Web(_, url) => url.as_str().len(),
        Key::Object { bucket, key } => bucket.len() + key.len(),
    };
    ENTRY_BYTES + (address + version.etag.len() + version.bytes.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::Object { bucket: String::new(), key: name.to_owned() }
    }

    fn version(size: u64) -> Version {
        let bytes = Bytes::from(vec![0; usize::try_from(size - ENTRY_BYTES - 1).unwrap()]);
        Version { etag: String::new(), bytes }
    }

    fn names(cache: &Cache) -> String {
        ["a", "b", "c"].into_iter().filter(|name| cache.kept().entries.contains(&key(name))).collect()
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = Cache::new(2_000);
        cache.keep(key("a"), version(1_000));
        cache.keep(key("b"), version(1_000));
        assert!(cache.get(&key("a")).is_some());
        cache.keep(key("c"), version(1_000));
        assert_eq!(names(&cache), "ac");
        assert_eq!(cache.kept().bytes, 2_000);
    }

    #[test]
    fn a_new_version_takes_the_place_of_the_old_one() {
        let cache = Cache::new(2_000);
        cache.keep(key("a"), version(500));
        cache.keep(key("b"), version(500));
        cache.keep(key("a"), version(1_500));
        assert_eq!((names(&cache).as_str(), cache.kept().bytes), ("ab", 2_000));
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_its_old_version_neither() {
        let cache = Cache::new(1_000);
        cache.keep(key("a"), version(1_000));
        cache.keep(key("b"), version(1_001));
        assert_eq!(names(&cache), "a");
        cache.keep(key("a"), version(1_001));
        assert_eq!((names(&cache).as_str(), cache.kept().bytes), ("", 0));
    }

    #[test]
    fn allowed_and_guarded_answers_are_kept_apart() {
        let cache = Cache::new(10_000);
        let url: Url = "http://internal.test/x".parse().unwrap();
        cache.keep(Key::Web(Passage::Allowed, url.clone()), version(500));
        assert!(cache.get(&Key::Web(Passage::Guarded, url)).is_none());
    }
}
