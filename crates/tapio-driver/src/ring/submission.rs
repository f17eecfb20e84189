//! What is asked of the ring, and what its answers mean.
//!
//! Any thread may ask, under the lock. Only the owner's thread enters the
//! kernel: the ring is bound to the thread that enabled it, and an operation
//! belongs to the thread that submitted it. When another thread becomes the
//! owner, a new ring takes the place of the old one and every watch is asked
//! for again there; sources and their keys notice nothing.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use io_uring::{cqueue, opcode, squeue, types};
use parking_lot::Mutex;
use slab::Slab;

use super::queues::Queues;
use super::setup::{RingRefusal, open_ring};
use crate::error::shut_down_error;
use crate::ready::Ready;
use crate::source::{Direction, Source};
use crate::wakes::Wakes;

/// The alarm's poll operation.
const ALARM: u64 = u64::MAX;
/// The poll operation over the `epoll` of unheld sources.
const UNHELD: u64 = u64::MAX - 1;
/// Completions that nobody waits for: removals.
const IGNORED: u64 = u64::MAX - 2;

const READ_FLAGS: u32 = 0x001 | 0x002 | 0x2000;
const WRITE_FLAGS: u32 = 0x004;

/// How long a shutdown waits for the kernel to give back what it was asked to
/// cancel. It takes microseconds; the bound is for a kernel that is broken.
const CANCEL_LIMIT: Duration = Duration::from_secs(1);

/// How many completions the kernel does in one call, unless it is to wait for
/// more (its `IO_LOCAL_TW_DEFAULT_MAX`).
const DEFERRED_BATCH: usize = 20;

/// No thread: the ring is not enabled yet.
const NOBODY: u64 = 0;

#[derive(Debug)]
pub(super) struct Submission {
    state: Mutex<State>,
    entries: u32,
    /// The thread that enabled the ring, as [`this_thread`] numbers it.
    owner: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// `None` once shut down.
    queues: Option<Arc<Queues>>,
    /// The poll operations in flight, by key.
    watches: Slab<Watch>,
    /// Entries that found the queue full, oldest first. The owner moves them
    /// into the queue as it empties.
    backlog: VecDeque<squeue::Entry>,
    /// The driver's own descriptors: the alarm and the `epoll`.
    own: [(RawFd, u64); 2],
}

#[derive(Debug)]
struct Watch {
    source: Arc<Source>,
    direction: Direction,
    /// Nobody waits any more: it ends with the completion of its removal.
    is_ending: bool,
}

/// What a completion means to the driver.
#[derive(Debug)]
pub(super) enum Completion {
    Ready {
        source: Arc<Source>,
        ready: Ready,
    },
    Ended {
        source: Arc<Source>,
        direction: Direction,
    },
    Unheld,
}

impl Submission {
    pub(super) fn new(
        entries: u32,
        alarm: BorrowedFd<'_>,
        unheld: BorrowedFd<'_>,
    ) -> Result<Submission, RingRefusal> {
        let mut state = State {
            queues: Some(Arc::new(open_ring(entries)?)),
            watches: Slab::new(),
            backlog: VecDeque::new(),
            own: [(alarm.as_raw_fd(), ALARM), (unheld.as_raw_fd(), UNHELD)],
        };
        state.watch_own();
        Ok(Submission {
            state: Mutex::new(state),
            entries,
            owner: AtomicU64::new(NOBODY),
        })
    }

    /// Makes the calling thread the owner.
    pub(super) fn occupy(&self) -> io::Result<()> {
        if self.is_owner() {
            return Ok(());
        }
        // Relaxed: the driver's lock, held by our caller, orders owners.
        if self.owner.load(Ordering::Relaxed) != NOBODY {
            self.replace_ring()?;
        }
        let state = self.state.lock();
        let queues = state.queues.as_ref().ok_or_else(shut_down_error)?;
        queues.enable()?;
        self.owner.store(this_thread(), Ordering::Relaxed);
        Ok(())
    }

    /// Puts a new ring in the place of one that belongs to another thread.
    /// The kernel ends what is left of the old one by itself, once nobody
    /// holds it.
    fn replace_ring(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.queues.is_none() {
            return Err(shut_down_error());
        }
        let fresh = open_ring(self.entries).map_err(RingRefusal::into_error)?;
        state.queues = Some(Arc::new(fresh));
        state.backlog.clear();
        state.watches.retain(|_, watch| !watch.is_ending);
        state.watch_own();
        let watches = state.watches.iter();
        let again: Vec<_> = watches.map(|(key, watch)| watch.entry(key)).collect();
        for entry in again {
            state.push(entry);
        }
        self.owner.store(NOBODY, Ordering::Relaxed);
        Ok(())
    }

    /// Watches one direction of `source`. Says whether the owner must be
    /// unparked to submit it.
    pub(super) fn watch(&self, source: &Arc<Source>, direction: Direction) -> io::Result<bool> {
        let mut state = self.state.lock();
        if state.queues.is_none() {
            return Err(shut_down_error());
        }
        if source.key(direction).is_some() {
            return Ok(false);
        }
        let watch = Watch {
            source: Arc::clone(source),
            direction,
            is_ending: false,
        };
        let key = state.watches.vacant_key();
        state.push(watch.entry(key));
        state.watches.insert(watch);
        source.set_key(direction, Some(key as u32));
        Ok(!self.is_owner())
    }

    /// Ends the watch over `source`. On the owner's thread the kernel lets go
    /// of the file before this returns. Says whether the owner must be
    /// unparked to do so.
    pub(super) fn unwatch(&self, source: &Arc<Source>) -> bool {
        let mut state = self.state.lock();
        let mut any = false;
        for direction in Direction::BOTH {
            if let Some(key) = source.key(direction) {
                // The watch stays in the slab until its last completion: until
                // then the kernel may still name its key.
                source.set_key(direction, None);
                if let Some(watch) = state.watches.get_mut(key as usize) {
                    watch.is_ending = true;
                    state.push(removal(u64::from(key)));
                    any = true;
                }
            }
        }
        if !any {
            return false;
        }
        if self.is_owner() {
            // What the kernel refuses now, it is asked again at the next park.
            let _ = state.submit_and_finish();
            return false;
        }
        true
    }

    /// Hands entries to the kernel, one queue full of them, and has it
    /// complete what is deferred, without waiting. A new ring has thousands to
    /// submit at times; what is ready already need not wait for the last.
    pub(super) fn flush(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let queues = state.queues.clone().ok_or_else(shut_down_error)?;
        if state.refill() || queues.written() > 0 || queues.has_deferred() {
            queues.enter(0, None)
        } else {
            Ok(())
        }
    }

    /// Hands entries to the kernel and waits for a completion, or `timeout`.
    pub(super) fn wait(&self, timeout: Option<&types::Timespec>) -> io::Result<()> {
        let mut state = self.state.lock();
        let queues = state.queues.clone().ok_or_else(shut_down_error)?;
        let backlog = state.refill();
        drop(state);
        if backlog || queues.has_completions() {
            return self.flush();
        }
        // The lock is not held while we sleep: others go on writing entries
        // and unpark us to have them submitted.
        queues.enter(1, timeout)
    }

    /// Takes what the kernel completed.
    pub(super) fn reap(&self, out: &mut Vec<Completion>) {
        let mut state = self.state.lock();
        if let Some(queues) = state.queues.clone() {
            queues.reap(|entry| state.take(entry, out));
        }
    }

    /// Ends every operation and tells every waiter.
    pub(super) fn shut_down(&self, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        if self.is_owner() {
            state.cancel_all();
        }
        state.queues = None;
        state.backlog.clear();
        let watches = std::mem::take(&mut state.watches);
        drop(state);
        for (_, watch) in watches {
            if !watch.is_ending {
                watch.source.set_key(watch.direction, None);
                watch.source.shut_down(wakes);
            }
        }
    }

    pub(super) fn live(&self) -> usize {
        self.state.lock().watches.len()
    }

    fn is_owner(&self) -> bool {
        // Relaxed: only our own earlier store can equal our own number.
        self.owner.load(Ordering::Relaxed) == this_thread()
    }
}

impl State {
    /// Writes one entry; the kernel sees it at the next submission.
    fn push(&mut self, entry: squeue::Entry) {
        let Some(queues) = &self.queues else { return };
        if !self.backlog.is_empty() || !queues.push(&entry) {
            self.backlog.push_back(entry);
        }
    }

    /// Moves the backlog into the queue as far as there is room. Says whether
    /// any is left.
    fn refill(&mut self) -> bool {
        if let Some(queues) = &self.queues {
            while let Some(entry) = self.backlog.front() {
                if !queues.push(entry) {
                    break;
                }
                self.backlog.pop_front();
            }
        }
        !self.backlog.is_empty()
    }

    /// Hands everything to the kernel, on the owner's thread.
    fn submit(&mut self) -> io::Result<()> {
        let Some(queues) = self.queues.clone() else {
            return Ok(());
        };
        loop {
            let more = self.refill();
            queues.enter(0, None)?;
            if !more && queues.written() == 0 {
                return Ok(());
            }
        }
    }

    /// [`State::submit`], and has the kernel complete all that is deferred: it
    /// does so in order and in batches of [`DEFERRED_BATCH`], so what was just
    /// submitted comes last.
    fn submit_and_finish(&mut self) -> io::Result<()> {
        self.submit()?;
        let Some(queues) = &self.queues else {
            return Ok(());
        };
        // Each watch has one report to complete at most; those that arrive
        // meanwhile need not be waited for.
        for _ in 0..=self.watches.len() / DEFERRED_BATCH {
            if !queues.has_deferred() {
                break;
            }
            queues.enter(0, None)?;
        }
        Ok(())
    }

    fn watch_own(&mut self) {
        for (fd, key) in self.own {
            self.push(poll(fd, 0x001, key));
        }
    }

    /// Cancels every operation and waits until the kernel has let go, on the
    /// owner's thread.
    fn cancel_all(&mut self) {
        let Some(queues) = self.queues.clone() else {
            return;
        };
        let keys = self.watches.iter().filter(|(_, watch)| !watch.is_ending);
        let keys: Vec<u64> = keys.map(|(key, _)| key as u64).collect();
        let mut left = self.watches.len() + self.own.len();
        for key in keys.into_iter().chain(self.own.map(|(_, key)| key)) {
            self.push(removal(key));
        }
        let limit = Instant::now() + CANCEL_LIMIT;
        let step = types::Timespec::new().nsec(10_000_000);
        while left > 0 && Instant::now() < limit {
            if self.submit().and(queues.enter(1, Some(&step))).is_err() {
                return;
            }
            queues.reap(|entry| {
                let is_last = entry.user_data() != IGNORED && !cqueue::more(entry.flags());
                left = left.saturating_sub(usize::from(is_last));
            });
        }
    }

    /// What one completion means.
    fn take(&mut self, entry: &cqueue::Entry, out: &mut Vec<Completion>) {
        let is_last = !cqueue::more(entry.flags());
        match entry.user_data() {
            IGNORED => {}
            key @ (ALARM | UNHELD) => {
                if is_last {
                    let again = self.own.iter().find(|(_, own)| *own == key);
                    if let Some(&(fd, key)) = again {
                        self.push(poll(fd, 0x001, key));
                    }
                }
                if key == UNHELD {
                    out.push(Completion::Unheld);
                }
            }
            key => self.take_watched(key as usize, entry.result(), is_last, out),
        }
    }

    fn take_watched(&mut self, key: usize, result: i32, is_last: bool, out: &mut Vec<Completion>) {
        let Some(watch) = self.watches.get(key) else {
            return;
        };
        if result > 0 && !watch.is_ending {
            let source = Arc::clone(&watch.source);
            let ready = Ready::from_poll(result as u32);
            out.push(Completion::Ready { source, ready });
        }
        if is_last {
            let watch = self.watches.remove(key);
            if !watch.is_ending {
                let (source, direction) = (watch.source, watch.direction);
                source.set_key(direction, None);
                out.push(Completion::Ended { source, direction });
            }
        }
    }
}

impl Watch {
    fn entry(&self, key: usize) -> squeue::Entry {
        let flags = match self.direction {
            Direction::Read => READ_FLAGS,
            Direction::Write => WRITE_FLAGS,
        };
        poll(self.source.fd(), flags, key as u64)
    }
}

fn poll(fd: RawFd, flags: u32, key: u64) -> squeue::Entry {
    opcode::PollAdd::new(types::Fd(fd), flags)
        .multi(true)
        .build()
        .user_data(key)
}

/// Ends the operation with `key`. Not `PollRemove`: that leaves a poll alone
/// which has something to report at that moment, and says so in a completion
/// that nobody could act upon in time.
fn removal(key: u64) -> squeue::Entry {
    opcode::AsyncCancel::new(key)
        .build()
        .flags(squeue::Flags::SKIP_SUCCESS)
        .user_data(IGNORED)
}

/// The calling thread's number, never given twice and never `NOBODY`.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only that numbers differ matters.
    thread_local!(static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}
