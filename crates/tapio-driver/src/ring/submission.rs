//! What is asked of the ring, and what it answered.
//!
//! Any thread may write an entry, under the lock. Only the owner's thread
//! hands entries to the kernel: an operation belongs to the task that
//! submitted it, and is cancelled when that thread ends.

#![expect(
    unsafe_code,
    reason = "the queues are memory shared with the kernel; the lock and the single reaper make each single-owner"
)]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use parking_lot::Mutex;
use slab::Slab;

use crate::contract::gone;
use crate::ready::Ready;
use crate::source::{Direction, Source};
use crate::wakes::Wakes;

/// The alarm's poll operation.
const ALARM: u64 = u64::MAX;
/// The poll operation over the `epoll` of unheld sources.
const UNHELD: u64 = u64::MAX - 1;
/// Completions that nobody waits for: failed removals.
const IGNORED: u64 = u64::MAX - 2;

const POLLIN: u32 = 0x001;
const READ_FLAGS: u32 = 0x001 | 0x002 | 0x2000;
const WRITE_FLAGS: u32 = 0x004;

/// How long a shutdown waits for the kernel to give back what it was asked to
/// cancel. It takes microseconds; the bound is for a kernel that is broken.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Submission {
    state: Mutex<State>,
    /// The thread that parks, as [`this_thread`] names it.
    owner: AtomicUsize,
}

#[derive(Debug)]
struct State {
    /// `None` once shut down.
    ring: Option<Arc<Ring>>,
    /// The poll operations in flight, by key.
    watches: Slab<Watch>,
    /// Entries that found the queue full, oldest first. The owner moves them
    /// into the queue as it empties.
    backlog: VecDeque<squeue::Entry>,
}

struct Ring(IoUring);

#[derive(Debug)]
struct Watch {
    source: Arc<Source>,
    direction: Direction,
}

/// What a completion means to the driver.
#[derive(Debug)]
pub(crate) enum Completion {
    Ready { source: Arc<Source>, ready: Ready },
    Ended { source: Arc<Source>, direction: Direction },
    Unheld,
    RewatchAlarm,
    RewatchUnheld,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ring").field(&self.0.as_raw_fd()).finish()
    }
}

impl Submission {
    pub(crate) fn new(ring: IoUring) -> Submission {
        Submission {
            state: Mutex::new(State {
                ring: Some(Arc::new(Ring(ring))),
                watches: Slab::new(),
                backlog: VecDeque::new(),
            }),
            owner: AtomicUsize::new(this_thread()),
        }
    }

    pub(crate) fn watch_alarm(&self, alarm: BorrowedFd<'_>) -> io::Result<()> {
        self.state.lock().push(&poll(alarm.as_raw_fd(), POLLIN, ALARM))
    }

    pub(crate) fn watch_unheld(&self, epoll: BorrowedFd<'_>) -> io::Result<()> {
        self.state.lock().push(&poll(epoll.as_raw_fd(), POLLIN, UNHELD))
    }

    /// Watches one direction of `source`. Says whether the owner must be
    /// unparked to submit it.
    pub(crate) fn watch(
        &self,
        source: &Arc<Source>,
        direction: Direction,
    ) -> io::Result<bool> {
        let mut state = self.state.lock();
        if source.key(direction).is_some() {
            return Ok(false);
        }
        let key = state.watches.insert(Watch {
            source: Arc::clone(source),
            direction,
        });
        let flags = match direction {
            Direction::Read => READ_FLAGS,
            Direction::Write => WRITE_FLAGS,
        };
        if let Err(error) = state.push(&poll(source.fd(), flags, key as u64)) {
            state.watches.remove(key);
            return Err(error);
        }
        source.set_key(direction, Some(key as u32));
        Ok(!self.is_owner())
    }

    /// Ends the watch over `source`. On the owner's thread the kernel lets go
    /// of the file before this returns. Says whether the owner must be
    /// unparked to do so.
    pub(crate) fn unwatch(&self, source: &Arc<Source>) -> bool {
        let mut state = self.state.lock();
        let mut any = false;
        for direction in Direction::BOTH {
            if let Some(key) = source.key(direction) {
                // The watch stays in the slab until its last completion: until
                // then the kernel may still name its key.
                source.set_key(direction, None);
                let entry = opcode::PollRemove::new(u64::from(key))
                    .build()
                    .flags(squeue::Flags::SKIP_SUCCESS)
                    .user_data(IGNORED);
                any |= state.push(&entry).is_ok();
            }
        }
        if !any {
            return false;
        }
        if self.is_owner() {
            let _ = state.submit();
            return false;
        }
        true
    }

    /// Hands entries to the kernel and runs what it has pending, without
    /// waiting.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.take_ownership();
        let mut state = self.state.lock();
        let Some(ring) = state.ring.clone() else {
            return Err(gone());
        };
        state.submit()?;
        drop(state);
        let pending = {
            // SAFETY: only flags in shared memory are read, no entry is
            // written and the tail is not touched, so a thread that writes
            // entries under the lock is not disturbed.
            let queue = unsafe { ring.0.submission_shared() };
            queue.taskrun() || queue.cq_overflow()
        };
        if pending { ring.enter(0, None) } else { Ok(()) }
    }

    /// Hands entries to the kernel and waits for a completion, or `timeout`.
    pub(crate) fn wait(&self, timeout: Option<&types::Timespec>) -> io::Result<()> {
        self.take_ownership();
        let mut state = self.state.lock();
        state.refill();
        let Some(ring) = state.ring.clone() else {
            return Err(gone());
        };
        // A backlog means that more than a full queue was asked for since the
        // last park.
        let backlog = !state.backlog.is_empty();
        drop(state);
        // SAFETY: as in `reap`; only the length is read.
        let arrived = unsafe { !ring.0.completion_shared().is_empty() };
        if backlog || arrived {
            return self.flush();
        }
        // The lock is not held while we sleep: others go on writing entries
        // and unpark us to have them submitted.
        ring.enter(1, timeout)
    }

    /// Takes what the kernel completed. Called by the owner alone.
    pub(crate) fn reap(&self, out: &mut Vec<Completion>) {
        let mut state = self.state.lock();
        let Some(ring) = state.ring.clone() else {
            return;
        };
        // SAFETY: the completion queue has one reader: `reap` and `shut_down`
        // are called by the driver's owner alone (`&mut` there), and under
        // this lock besides.
        let queue = unsafe { ring.0.completion_shared() };
        for entry in queue {
            state.meaning(&entry, out);
        }
    }

    /// Cancels everything and waits until the kernel has let go of it.
    pub(crate) fn shut_down(&self, wakes: &mut Wakes) {
        self.take_ownership();
        let mut state = self.state.lock();
        let Some(ring) = state.ring.clone() else {
            return;
        };
        state.cancel_all();
        let limit = Instant::now() + SHUTDOWN_LIMIT;
        let step = types::Timespec::new().nsec(10_000_000);
        let mut own_left = 2;
        while (own_left > 0 || !state.watches.is_empty()) && Instant::now() < limit {
            let submitted = state.submit();
            if submitted.and(ring.enter(1, Some(&step))).is_err() {
                break;
            }
            // SAFETY: as in `reap`.
            for entry in unsafe { ring.0.completion_shared() } {
                if cqueue::more(entry.flags()) {
                    continue;
                }
                match entry.user_data() {
                    ALARM | UNHELD => own_left -= 1,
                    IGNORED => {}
                    key => {
                        if let Some(watch) = state.watches.try_remove(key as usize) {
                            watch.source.set_key(watch.direction, None);
                            watch.source.shut_down(wakes);
                        }
                    }
                }
            }
        }
        state.ring = None;
        let rest = std::mem::take(&mut state.watches);
        drop(state);
        for (_, watch) in rest {
            watch.source.shut_down(wakes);
        }
    }

    pub(crate) fn live(&self) -> usize {
        self.state.lock().watches.len()
    }

    fn is_owner(&self) -> bool {
        // Relaxed: only our own earlier store can equal our own name.
        self.owner.load(Ordering::Relaxed) == this_thread()
    }

    fn take_ownership(&self) {
        self.owner.store(this_thread(), Ordering::Relaxed);
    }
}

impl State {
    /// Writes one entry; the kernel sees it at the next submission.
    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        let ring = self.ring.as_ref().ok_or_else(gone)?;
        // SAFETY: entries are written under the lock that `&mut self` stands
        // for, so this is the only writer of the queue's tail. Poll entries
        // hold no pointer; the descriptor they name is open, and one that is
        // closed before the submission makes the kernel answer EBADF.
        let pushed = self.backlog.is_empty()
            && unsafe { ring.0.submission_shared().push(entry) }.is_ok();
        if !pushed {
            self.backlog.push_back(entry.clone());
        }
        Ok(())
    }

    /// Moves the backlog into the queue as far as there is room.
    fn refill(&mut self) {
        let Some(ring) = &self.ring else { return };
        while let Some(entry) = self.backlog.front() {
            // SAFETY: as in `push`.
            if unsafe { ring.0.submission_shared().push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// Hands everything to the kernel. Called on the owner's thread.
    fn submit(&mut self) -> io::Result<()> {
        let ring = Arc::clone(self.ring.as_ref().ok_or_else(gone)?);
        loop {
            self.refill();
            // SAFETY: as in `push`; only the length is read.
            if unsafe { ring.0.submission_shared().is_empty() } {
                return Ok(());
            }
            ring.submit()?;
        }
    }

    fn cancel_all(&mut self) {
        let keys = self.watches.iter().map(|(key, _)| key as u64);
        let all: Vec<u64> = keys.chain([ALARM, UNHELD]).collect();
        for key in all {
            let entry = opcode::PollRemove::new(key)
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS)
                .user_data(IGNORED);
            let _ = self.push(&entry);
        }
    }

    fn meaning(&mut self, entry: &cqueue::Entry, out: &mut Vec<Completion>) {
        let (key, result) = (entry.user_data(), entry.result());
        let more = cqueue::more(entry.flags());
        match key {
            ALARM if more => {}
            ALARM => out.push(Completion::RewatchAlarm),
            UNHELD if more => out.push(Completion::Unheld),
            UNHELD => out.push(Completion::RewatchUnheld),
            IGNORED => {}
            key => {
                let key = key as usize;
                if let (true, Some(watch)) = (result > 0, self.watches.get(key)) {
                    let source = Arc::clone(&watch.source);
                    let ready = Ready::from_poll(result as u32);
                    out.push(Completion::Ready { source, ready });
                }
                if !more && let Some(watch) = self.watches.try_remove(key) {
                    let Watch { source, direction } = watch;
                    // A key that was taken back by `unwatch` is not the
                    // source's any more: nobody waits.
                    if source.key(direction) == Some(key as u32) {
                        out.push(Completion::Ended { source, direction });
                    }
                }
            }
        }
    }
}

impl Ring {
    fn submit(&self) -> io::Result<()> {
        loop {
            match self.0.submit() {
                Ok(_) => return Ok(()),
                Err(error) if is_interrupt(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Submits, and waits for `want` completions at most until `timeout`.
    fn enter(&self, want: usize, timeout: Option<&types::Timespec>) -> io::Result<()> {
        let mut args = types::SubmitArgs::new();
        if let Some(timeout) = timeout {
            args = args.timespec(timeout);
        }
        match self.0.submitter().submit_with_args(want, &args) {
            Ok(_) => Ok(()),
            Err(error) if is_interrupt(&error) || is_timeout(&error) => Ok(()),
            // The completion queue is full: reaping it is all that helps.
            Err(error) if is_busy(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn poll(fd: i32, flags: u32, key: u64) -> squeue::Entry {
    opcode::PollAdd::new(types::Fd(fd), flags)
        .multi(true)
        .build()
        .user_data(key)
}

fn is_interrupt(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}

fn is_timeout(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::TIME.raw_os_error())
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error())
}

/// A name for the calling thread: the address of something of its own.
fn this_thread() -> usize {
    thread_local!(static ANCHOR: u8 = const { 0 });
    ANCHOR.with(|anchor| std::ptr::from_ref(anchor).addr())
}
