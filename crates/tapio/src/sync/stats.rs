//! How long who has waited for which locks, for the advisor.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tapio_driver::PerProcess;
use tapio_driver::lock::Mutex;

use crate::report::LockInfo;

/// Sites and locks told apart; what comes beyond is not counted.
const ENTRIES_MAX: usize = 1024;

type Key = (&'static Location<'static>, LockInfo);

static STATS: PerProcess<Mutex<HashMap<Key, Sum>>> = PerProcess::new(|_| Mutex::default());

/// Whether something was left out.
static IS_LEFT_OUT: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    waits: u64,
    waited: Duration,
}

/// What the tasks of one spawn site have waited for one lock, or for all that
/// were made at one line under one name.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "for the advisor")]
pub(crate) struct WaitStat {
    /// Where the tasks were spawned or blocked on; for others the line that
    /// waited.
    pub(crate) site: &'static Location<'static>,
    pub(crate) lock: LockInfo,
    pub(crate) waits: u64,
    pub(crate) waited: Duration,
}

pub(super) fn add(site: &'static Location<'static>, lock: &LockInfo, waited: Duration) {
    let mut stats = STATS.lock();
    let key = (site, lock.clone());
    let is_full = stats.len() >= ENTRIES_MAX;
    if is_full && !stats.contains_key(&key) {
        drop(stats);
        // Relaxed: who is first says it.
        if !IS_LEFT_OUT.swap(true, Ordering::Relaxed) {
            tracing::warn!("waits for locks are counted for {ENTRIES_MAX} sites and locks only");
        }
        return;
    }
    let sum = stats.entry(key).or_default();
    sum.waits += 1;
    sum.waited += waited;
}

/// All waits that have ended, by site and lock.
#[allow(dead_code, reason = "for the advisor")]
pub(crate) fn wait_stats() -> Vec<WaitStat> {
    let stats = STATS.lock();
    stats
        .iter()
        .map(|((site, lock), sum)| WaitStat {
            site,
            lock: lock.clone(),
            waits: sum.waits,
            waited: sum.waited,
        })
        .collect()
}
