//! How often something was said of a place, so that it is not said for ever.

use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

use tapio_driver::PerProcess;
use tapio_driver::lock::RwLock;

type Site = &'static Location<'static>;

/// Errors that were lost, by where their tasks were spawned. As many entries
/// as a program has such places.
static COUNTS: PerProcess<RwLock<HashMap<Site, AtomicU64>>> =
    PerProcess::new(|_| RwLock::default());
/// The places whose results cannot be looked into, and of which that was said.
static NAMED: PerProcess<RwLock<HashSet<Site>>> = PerProcess::new(|_| RwLock::default());

/// Counts one more at a place; says how many there were by now.
pub(super) fn count(at: Site) -> u64 {
    // Relaxed: only the number matters, and each is given out once.
    let add = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(count) = COUNTS.read().get(at) {
        return add(count);
    }
    add(COUNTS.write().entry(at).or_default())
}

/// Whether this is the first time for a place.
///
/// # Cost
/// One lock, shared by all readers, at each call after the first.
pub(super) fn is_new(at: Site) -> bool {
    !NAMED.read().contains(at) && NAMED.write().insert(at)
}
