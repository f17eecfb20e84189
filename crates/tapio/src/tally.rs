//! How often a thread did I/O, and for whom.
//!
//! A thread that is watched counts beside what it says at its post: a line
//! for each place whose code it ran. It is the only one that writes, so a
//! count is a load and a store, a few nanoseconds beside a system call;
//! whoever reads adds up the tallies of all threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::post::{Running, RunningCell};

/// Lines of a table, each with a place: a thread that runs tasks from more
/// places than find one counts the rest as nobody's.
const LINES_BITS: u32 = 8;
const LINES: usize = 1 << LINES_BITS;
/// The line of what is no place's or found no line; its key stays `NOTHING`.
const NOBODYS: usize = 0;
/// Lines that are looked at for one place.
const PROBES_MAX: usize = 16;

/// What was counted for one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// I/O operations that the kernel carried out or refused; those that
    /// would have blocked did nothing and do not count.
    pub(crate) io: u64,
    /// Calls handed to other threads, since they block.
    pub(crate) offloads: u64,
}

/// The counts of one thread.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Made by the first count: most threads in a `block_on` do no I/O.
    lines: OnceLock<Box<[Line; LINES]>>,
}

/// The counts for one place. Relaxed, all: the thread is the only writer, and
/// readers want only the numbers.
#[derive(Debug)]
struct Line {
    /// `NOTHING` for a line that is free, and for nobody's.
    key: RunningCell,
    io: AtomicU64,
    offloads: AtomicU64,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally {
            lines: OnceLock::new(),
        }
    }

    /// Counts an I/O operation of what this thread runs. Only the tally's own
    /// thread calls this.
    #[inline]
    pub(crate) fn count_io(&self, running: Running) {
        add_one(&self.line(running).io);
    }

    /// Counts a call handed to another thread. Only the tally's own thread
    /// calls this.
    pub(crate) fn count_offload(&self, running: Running) {
        add_one(&self.line(running).offloads);
    }

    #[inline]
    fn line(&self, running: Running) -> &Line {
        let lines = self.lines.get_or_init(new_lines);
        let start = start_of(running);
        if lines[start].key.get() == running {
            return &lines[start];
        }
        find(lines, running, start)
    }

    /// What was counted so far, by what ran; `NOTHING` stands for what found
    /// no line or was no place's.
    pub(crate) fn read(&self) -> impl Iterator<Item = (Running, Counts)> {
        self.all_lines().map(|line| (line.key.get(), line.counts()))
    }

    /// Sets all counts to zero. Only the tally's own thread calls this.
    pub(crate) fn clear(&self) {
        for line in self.all_lines() {
            line.io.store(0, Ordering::Relaxed);
            line.offloads.store(0, Ordering::Relaxed);
        }
    }

    fn all_lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.get().into_iter().flat_map(|lines| lines.iter())
    }
}

impl Line {
    const fn new() -> Line {
        Line {
            key: RunningCell::new(),
            io: AtomicU64::new(0),
            offloads: AtomicU64::new(0),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            io: self.io.load(Ordering::Relaxed),
            offloads: self.offloads.load(Ordering::Relaxed),
        }
    }
}

impl Counts {
    pub(crate) fn add(&mut self, more: Counts) {
        self.io += more.io;
        self.offloads += more.offloads;
    }

    /// What came since `before`.
    pub(crate) fn since(self, before: Counts) -> Counts {
        Counts {
            io: self.io.saturating_sub(before.io),
            offloads: self.offloads.saturating_sub(before.offloads),
        }
    }
}

/// Where the search for a place's line begins. By Fibonacci hashing, since
/// addresses differ in their middle bits; `NOTHING` begins at `NOBODYS`.
#[inline]
fn start_of(running: Running) -> usize {
    let hash = running.word().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> (u64::BITS - LINES_BITS)) as usize
}

/// The line of a place that is not at the start of its search, or has none
/// yet.
#[cold]
fn find(lines: &[Line; LINES], running: Running, start: usize) -> &Line {
    if running.location().is_some() {
        let probes = (start..start + PROBES_MAX).map(|index| index % LINES);
        for line in probes.filter(|&index| index != NOBODYS) {
            let line = &lines[line];
            if line.key.get() == Running::NOTHING {
                line.key.set(running);
            }
            if line.key.get() == running {
                return line;
            }
        }
    }
    &lines[NOBODYS]
}

#[cold]
fn new_lines() -> Box<[Line; LINES]> {
    Box::new([const { Line::new() }; LINES])
}

#[inline]
fn add_one(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::panic::Location;

    use super::{Counts, LINES, Tally};
    use crate::post::Running;

    /// A place of its own: as many as there are addresses.
    fn site() -> Running {
        Running::task(Box::leak(Box::new(*Location::caller())))
    }

    #[test]
    fn each_place_has_its_own_counts() {
        let tally = Tally::new();
        let sites: Vec<Running> = (0..20).map(|_| site()).collect();
        for (index, &site) in sites.iter().enumerate() {
            for _ in 0..=index {
                tally.count_io(site);
            }
            tally.count_offload(site);
        }
        let counts: HashMap<u64, Counts> = tally
            .read()
            .map(|(running, counts)| (running.word(), counts))
            .collect();
        for (index, site) in sites.iter().enumerate() {
            let (io, offloads) = (index as u64 + 1, 1);
            assert_eq!(counts[&site.word()], Counts { io, offloads });
        }
        tally.clear();
        assert!(tally.read().all(|(_, counts)| counts == Counts::default()));
    }

    #[test]
    fn more_places_than_lines_lose_no_count() {
        let tally = Tally::new();
        for _ in 0..4 * LINES {
            tally.count_io(site());
        }
        tally.count_io(Running::NOTHING);
        let all: u64 = tally.read().map(|(_, counts)| counts.io).sum();
        assert_eq!(all, 4 * LINES as u64 + 1);
        let nobodys = tally.read().find(|(site, _)| *site == Running::NOTHING);
        assert!(nobodys.expect("its line").1.io > 1);
    }
}
