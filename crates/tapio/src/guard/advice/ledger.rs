//! What was seen, by spawn site.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::gaze::Glimpse;
use crate::guard::entry::Entry;
use crate::post::Running;
use crate::report::{LockWait, SiteKind};
use crate::tally::Counts;

/// Places told apart; what runs at others is added up as one.
const SITES_MAX: usize = 1024;
/// Room for places, to begin with.
const ROOM: usize = 64;

/// The sums since the start, or since they were reset.
pub(super) struct Ledger {
    pub(super) totals: Totals,
    /// In order; grows when there is time for it, and not in the guard's look.
    sites: Vec<(Running, Record)>,
    /// By place, what threads had counted when they ended.
    handed_in: Counted,
    /// What had been counted at the last reset.
    counts_before: Counted,
    waits_before: Vec<LockWait>,
    is_full: bool,
}

type Counted = BTreeMap<Running, Counts>;

/// What is known of all places together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    /// For how long the guard watched any thread.
    pub(super) elapsed: Duration,
    /// The time of all threads that were there to run tasks.
    pub(super) worker_time: Duration,
    /// Of that, when they ran something.
    pub(super) busy: Duration,
    /// Looks at such threads.
    pub(super) looks: u64,
    /// Between two looks, at the most.
    pub(super) resolution: Duration,
}

/// What is known of one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) busy: Duration,
    pub(super) samples: u64,
    pub(super) polls: u64,
    pub(super) longest: Duration,
    /// For how long it is known of polls what they did, beyond the first look.
    pub(super) judged: Duration,
    /// Of that, when they waited in the kernel.
    pub(super) blocked: Duration,
    /// First looks at polls that saw what the thread did.
    pub(super) states: u64,
    /// Of these, those that found it waiting in the kernel.
    pub(super) blocked_states: u64,
    pub(super) counts: Counts,
}

/// A place in the source, and of what.
pub(super) type Site = (&'static Location<'static>, SiteKind);

impl Ledger {
    pub(super) const fn new() -> Ledger {
        Ledger {
            totals: Totals::ZERO,
            sites: Vec::new(),
            handed_in: BTreeMap::new(),
            counts_before: BTreeMap::new(),
            waits_before: Vec::new(),
            is_full: false,
        }
    }

    /// Adds a look at a thread, `passed` after the last one.
    pub(super) fn add(&mut self, entry: &Entry, glimpse: Option<Glimpse>, passed: Duration) {
        let has_seat = entry.host.has_seat();
        if glimpse.is_none() && !has_seat {
            return;
        }
        // One that is not there to run tasks, as it was relieved, or waits for
        // one future, counts for as much of a CPU as it uses: a thousand of
        // them that sleep are no work.
        let counted = match glimpse {
            Some(glimpse) if !has_seat => glimpse.used,
            _ => passed,
        };
        let totals = &mut self.totals;
        totals.worker_time += counted;
        totals.looks += 1;
        if let Some(glimpse) = glimpse {
            totals.busy += counted;
            let index = self.index(glimpse.running);
            if index.is_none() {
                self.is_full |= self.sites.len() >= SITES_MAX;
            }
            if let Some(index) = index.or_else(|| self.index(Running::NOTHING)) {
                self.sites[index].1.see(glimpse, counted);
            }
        }
    }

    /// Where the sums of a place are; `None` when there is no room for it now.
    fn index(&mut self, running: Running) -> Option<usize> {
        match self.sites.binary_search_by_key(&running, |(site, _)| *site) {
            Ok(index) => Some(index),
            Err(index) => {
                // One is left for what is nobody's.
                let max = SITES_MAX.min(self.sites.capacity().saturating_sub(1));
                let has_room = self.sites.len() < max
                    || (running == Running::NOTHING && self.sites.len() < self.sites.capacity());
                has_room.then(|| {
                    self.sites.insert(index, (running, Record::default()));
                    index
                })
            }
        }
    }

    /// Whether there is little room left for more places.
    pub(super) fn wants_room(&self) -> bool {
        let capacity = self.sites.capacity();
        capacity <= SITES_MAX && self.sites.len() + ROOM / 2 > capacity
    }

    pub(super) fn make_room(&mut self) {
        if self.wants_room() {
            self.sites.reserve(self.sites.len().max(ROOM));
        }
    }

    /// Takes over what a thread that ends, this one, has counted.
    pub(super) fn hand_in(&mut self, entry: &Entry) {
        self.is_full |= add_counts(&mut self.handed_in, entry);
        entry.tally.clear();
    }

    /// Forgets all sums. What threads and locks count goes on, and what they
    /// had by now is subtracted.
    pub(super) fn reset(&mut self, entries: &[Arc<Entry>], waits: Vec<LockWait>) {
        self.counts_before = self.counted(entries);
        self.waits_before = waits;
        self.totals = Totals::ZERO;
        self.sites.clear();
    }

    /// What was waited for locks since the last reset.
    pub(super) fn waits(&self, mut waits: Vec<LockWait>) -> Vec<LockWait> {
        for now in &mut waits {
            let mut before = self.waits_before.iter();
            if let Some(before) =
                before.find(|before| before.site == now.site && before.lock == now.lock)
            {
                now.waits = now.waits.saturating_sub(before.waits);
                now.waited = now.waited.saturating_sub(before.waited);
            }
        }
        waits
    }

    /// Everything of each place.
    pub(super) fn records(&mut self, entries: &[Arc<Entry>]) -> BTreeMap<Site, Record> {
        let mut records = BTreeMap::<Site, Record>::new();
        // One line of the source may be several `Location`s, in generic code
        // for example.
        for (running, record) in &self.sites {
            if let Some(site) = site(*running) {
                records.entry(site).or_default().merge(record);
            }
        }
        for (running, counts) in self.counted(entries) {
            let before = self
                .counts_before
                .get(&running)
                .copied()
                .unwrap_or_default();
            let counts = counts.since(before);
            if counts != Counts::default()
                && let Some(site) = site(running)
            {
                records.entry(site).or_default().counts.add(counts);
            }
        }
        records
    }

    /// How many places are told apart, if there were more since the last call.
    pub(super) fn take_is_full(&mut self) -> Option<usize> {
        std::mem::take(&mut self.is_full).then_some(SITES_MAX)
    }

    fn counted(&mut self, entries: &[Arc<Entry>]) -> Counted {
        let mut counted = self.handed_in.clone();
        for entry in entries {
            self.is_full |= add_counts(&mut counted, entry);
        }
        counted
    }
}

impl Totals {
    pub(super) const ZERO: Totals = Totals {
        elapsed: Duration::ZERO,
        worker_time: Duration::ZERO,
        busy: Duration::ZERO,
        looks: 0,
        resolution: Duration::ZERO,
    };
}

impl Record {
    fn see(&mut self, glimpse: Glimpse, counted: Duration) {
        self.busy += counted;
        self.samples += 1;
        self.polls += u64::from(glimpse.is_new);
        self.longest = self.longest.max(glimpse.lasted);
        self.judged += glimpse.used + glimpse.blocked;
        self.blocked += glimpse.blocked;
        self.states += u64::from(glimpse.is_blocked.is_some());
        self.blocked_states += u64::from(glimpse.is_blocked == Some(true));
    }

    fn merge(&mut self, other: &Record) {
        self.busy += other.busy;
        self.samples += other.samples;
        self.polls += other.polls;
        self.longest = self.longest.max(other.longest);
        self.judged += other.judged;
        self.blocked += other.blocked;
        self.states += other.states;
        self.blocked_states += other.blocked_states;
        self.counts.add(other.counts);
    }
}

/// `running`, or `NOTHING` when there is no room to tell it from others.
fn bounded<V>(map: &BTreeMap<Running, V>, running: Running) -> Running {
    if map.len() < SITES_MAX || map.contains_key(&running) {
        running
    } else {
        Running::NOTHING
    }
}

/// Adds what a thread has counted; says whether there was no room for some.
fn add_counts(counted: &mut Counted, entry: &Entry) -> bool {
    let mut is_full = false;
    for (running, counts) in entry.tally.read() {
        if counts != Counts::default() {
            let key = bounded(counted, running);
            is_full |= key != running;
            counted.entry(key).or_default().add(counts);
        }
    }
    is_full
}

fn site(running: Running) -> Option<Site> {
    let location = running.location()?;
    let kind = if running.is_block_on() {
        SiteKind::BlockOn
    } else if running.is_callback() {
        SiteKind::Callback
    } else {
        SiteKind::Tasks
    };
    Some((location, kind))
}
