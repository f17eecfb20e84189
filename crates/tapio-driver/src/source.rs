//! A descriptor that somebody waits on: its readiness, and who waits.
//!
//! A source starts *assumed ready* in both directions: the first read or write
//! is simply tried, and only when the kernel answers "would block" is the
//! driver asked to watch that direction (it is *armed*). A connection that
//! never waits costs no registration at all.
//!
//! Who may touch what: the state word is lock-free; the waiters are under a
//! lock that is never held while a waker runs. A driver writes readiness first
//! and looks for waiters second; a waiter enters its waker first and looks at
//! readiness second; the lock orders the two, so no wake-up is lost.

#![expect(unsafe_code, reason = "a source borrows its descriptor from the owner")]

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use slab::Slab;

use crate::contract::Remote;
use crate::error::is_shut_down_error;
use crate::ready::{Interest, Ready};
use crate::wakes::Wakes;

#[cfg(test)]
mod tests;

/// One of the two ways data flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Towards us.
    Read,
    /// Towards the peer.
    Write,
}

impl Direction {
    /// Both directions, read first.
    pub const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];

    /// The readiness that lets this direction go on.
    #[must_use]
    pub fn mask(self) -> Ready {
        match self {
            Direction::Read => Ready::READABLE | Ready::READ_CLOSED,
            Direction::Write => Ready::WRITABLE | Ready::WRITE_CLOSED,
        }
    }

    /// The interest in going on in this direction.
    #[must_use]
    pub fn interest(self) -> Interest {
        match self {
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
        }
    }

    /// What comes with data, rather than with a close, and can go again.
    /// Reports of urgent data and of errors come with those for reading.
    fn open(self) -> Ready {
        match self {
            Direction::Read => Ready::READABLE | Ready::PRIORITY | Ready::ERROR,
            Direction::Write => Ready::WRITABLE,
        }
    }

    const fn assumed(self) -> u32 {
        match self {
            Direction::Read => ASSUMED_READ,
            Direction::Write => ASSUMED_WRITE,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

const READY_BITS: u32 = 0x3f;
const SHUTDOWN: u32 = 1 << 6;
const ASSUMED_READ: u32 = 1 << 7;
const ASSUMED_WRITE: u32 = 1 << 8;
const TICK_ONE: u32 = 1 << 9;
const FLAG_BITS: u32 = TICK_ONE - 1;
const NO_KEY: u32 = u32::MAX;

/// A descriptor that somebody waits on. See the module's documentation.
#[derive(Debug)]
pub struct Source {
    /// Readiness, flags and a tick that every report of the driver advances.
    state: AtomicU32,
    fd: RawFd,
    /// The driver that watches this source, fixed when first armed.
    home: OnceLock<Arc<dyn Remote>>,
    /// The home driver's key, `NO_KEY` while not armed.
    key: AtomicU32,
    waiters: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    /// The task in a `poll_read`-shaped call; the last to poll is the one woken.
    direct: [Option<Waker>; 2],
    /// Futures that wait for an interest, any number of them. Boxed, since
    /// most sources never have one.
    queue: Option<Box<Slab<Queued>>>,
}

#[derive(Debug)]
struct Queued {
    interest: Interest,
    /// `None` once woken; the entry stays until its future leaves, so that a
    /// place never comes to mean another future's.
    waker: Option<Waker>,
}

/// A source's readiness at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What it is ready for, of what was asked.
    pub ready: Ready,
    /// Whether the driver behind it is gone for good.
    pub is_shutdown: bool,
    tick: u32,
}

/// Where a future that waits for an interest keeps its place in the queue.
#[derive(Debug, Default)]
pub struct Place(Option<usize>);

impl Source {
    /// A source for `fd`, which its owner keeps open until it has called
    /// [`Source::release`].
    #[must_use]
    pub fn new(fd: RawFd) -> Arc<Source> {
        let ready = Ready::READABLE | Ready::WRITABLE;
        Arc::new(Source {
            state: AtomicU32::new(u32::from(ready.bits()) | ASSUMED_READ | ASSUMED_WRITE),
            fd,
            home: OnceLock::new(),
            key: AtomicU32::new(NO_KEY),
            waiters: Mutex::new(Waiters::default()),
        })
    }

    /// The descriptor.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// The descriptor, borrowed for one system call.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: whoever made the source keeps the descriptor open until it
        // has called `release`, and drivers use this only for sources that
        // were not released. A descriptor is a number: should an owner break
        // that promise, the kernel answers EBADF or watches another file, and
        // no memory is touched.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }

    /// The readiness now, of what `mask` asks.
    #[must_use]
    pub fn event(&self, mask: Ready) -> Event {
        // Acquire pairs with the release in `report`: what the kernel told the
        // driver happened before what we now try.
        Event::of(self.state.load(Ordering::Acquire), mask)
    }

    /// Asks the kernel what of `interest` is there at this moment, whether this
    /// source is watched or not.
    #[must_use]
    pub fn ask(&self, interest: Interest) -> Event {
        let mut event = self.event(Ready::EMPTY);
        let flags = PollFlags::IN | PollFlags::PRI | PollFlags::OUT | PollFlags::RDHUP;
        let mut asked = [PollFd::from_borrowed_fd(self.as_fd(), flags)];
        // A signal may get in the way: then nothing is known to be there.
        if poll(&mut asked, Some(&Timespec::default())).is_ok() {
            let answer = asked[0].revents().bits();
            event.ready = Ready::from_poll(u32::from(answer)) & interest.mask();
        }
        event
    }

    /// Whether `direction` is only assumed ready: nobody asked the kernel yet.
    #[must_use]
    pub fn is_assumed(&self, direction: Direction) -> bool {
        self.state.load(Ordering::Relaxed) & direction.assumed() != 0
    }

    /// Whether a call that did less than it was asked has used up what there
    /// was in `direction`, so that what comes next is reported. Not while
    /// urgent data is about: a read stops in front of it, with more behind it.
    #[must_use]
    pub fn is_used_up_by_short(&self, direction: Direction) -> bool {
        let urgent = u32::from(Ready::PRIORITY.bits());
        // Relaxed: if a report comes in between, its tick tells.
        self.state.load(Ordering::Relaxed) & (direction.assumed() | urgent) == 0
    }

    /// Waits until `direction` can go on. The last caller for a direction is
    /// the one that is woken.
    pub fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<Event> {
        let event = self.event(direction.mask());
        if event.is_any() {
            return Poll::Ready(event);
        }
        let mut waiters = self.waiters.lock();
        let slot = &mut waiters.direct[direction.index()];
        match slot {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            // The old waker is dropped after the lock: dropping a foreign
            // waker may run code of its own.
            _ => {
                let old = slot.replace(cx.waker().clone());
                let event = self.event(direction.mask());
                drop(waiters);
                drop(old);
                return event.into_poll();
            }
        }
        self.event(direction.mask()).into_poll()
    }

    /// Waits for any of `interest`; `place` keeps this waiter's place between
    /// calls and must be given back with [`Source::leave`].
    pub fn poll_queued(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        place: &mut Place,
    ) -> Poll<Event> {
        let mask = interest.mask();
        let event = self.event(mask);
        if event.is_any() {
            self.leave(place);
            return Poll::Ready(event);
        }
        let mut waiters = self.waiters.lock();
        let queue = waiters.queue.get_or_insert_default();
        let old = match place.0.and_then(|key| queue.get_mut(key)) {
            Some(queued) => match &queued.waker {
                Some(waker) if waker.will_wake(cx.waker()) => None,
                _ => queued.waker.replace(cx.waker().clone()),
            },
            None => {
                let waker = Some(cx.waker().clone());
                place.0 = Some(queue.insert(Queued { interest, waker }));
                None
            }
        };
        let event = self.event(mask);
        drop(waiters);
        drop(old);
        if event.is_any() {
            self.leave(place);
        }
        event.into_poll()
    }

    /// Gives a waiter's place in the queue back.
    pub fn leave(&self, place: &mut Place) {
        if let Some(key) = place.0.take() {
            let mut waiters = self.waiters.lock();
            let Some(queue) = waiters.queue.as_mut() else {
                return;
            };
            let queued = queue.try_remove(key);
            if queue.is_empty() {
                waiters.queue = None;
            }
            drop(waiters);
            drop(queued);
        }
    }

    /// Takes back the readiness that was used up, unless the driver has
    /// reported since `event` was read. What is closed stays so. Says whether
    /// the driver must now be asked to watch `direction`.
    #[must_use = "a direction that is not armed is never reported again"]
    pub fn clear(&self, event: Event, direction: Direction) -> bool {
        self.take_back(event, direction, direction.open())
    }

    /// As [`Source::clear`], when the kernel has just answered "would block":
    /// then it is not closed either, whatever an error that came and went made
    /// of it.
    #[must_use = "a direction that is not armed is never reported again"]
    pub fn refute(&self, event: Event, direction: Direction) -> bool {
        self.take_back(event, direction, direction.open() | direction.mask())
    }

    fn take_back(&self, event: Event, direction: Direction, what: Ready) -> bool {
        let gone = u32::from((event.ready & what).bits());
        let assumed = direction.assumed();
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state & !FLAG_BITS != event.tick {
                return false;
            }
            let next = state & !gone & !assumed;
            if next == state {
                return false;
            }
            // Nothing is published by taking readiness away; the driver's
            // next report is what readers synchronise with.
            match self.state.compare_exchange_weak(
                state,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return state & assumed != 0,
                Err(now) => state = now,
            }
        }
    }

    /// Stops assuming that `direction` is ready. Says whether the driver must
    /// now be asked to watch it.
    #[must_use = "a direction that is not armed is never reported again"]
    pub fn settle(&self, direction: Direction) -> bool {
        let assumed = direction.assumed();
        let open = Ready::READABLE | Ready::WRITABLE;
        let gone = u32::from((direction.mask() & open).bits());
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            // A report may have put knowledge in the assumption's place, which
            // must not be taken away. Relaxed: nothing is published here; the
            // driver's next report is what readers synchronise with.
            if state & assumed == 0 {
                return false;
            }
            let next = state & !gone & !assumed;
            match self.state.compare_exchange_weak(
                state,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
    }

    /// Has `home`, or the driver that watches this source already, watch it.
    ///
    /// # Errors
    /// What the kernel answers to the registration; both directions are then
    /// assumed ready again, so that the next attempt asks anew. That a driver
    /// is gone is no error here, but what everybody who waits is told.
    pub fn arm(self: &Arc<Self>, home: impl FnOnce() -> Arc<dyn Remote>) -> std::io::Result<()> {
        let Err(error) = self.home.get_or_init(home).arm(self) else {
            return Ok(());
        };
        // Whoever began to wait meanwhile relied on this attempt.
        let mut wakes = Wakes::default();
        let is_gone = is_shut_down_error(&error);
        if is_gone {
            self.shut_down(&mut wakes);
        } else {
            self.disarmed(&mut wakes);
        }
        wakes.wake_all();
        if is_gone { Ok(()) } else { Err(error) }
    }

    /// Ends the driver's watch; the descriptor may be closed afterwards.
    pub fn release(self: &Arc<Self>) {
        if let Some(home) = self.home.get() {
            home.release(self);
        }
    }

    /// The driver's report: `ready` is there, and whoever waits for it goes
    /// into `wakes`. What is reported is known, and assumed no longer.
    pub(crate) fn report(&self, ready: Ready, wakes: &mut Wakes) {
        let mut known = 0;
        for direction in Direction::BOTH {
            if !(ready & direction.mask()).is_empty() {
                known |= direction.assumed();
            }
        }
        self.advance(u32::from(ready.bits()), known);
        self.collect(ready, wakes);
    }

    /// Nobody watches it after all: both directions count as ready again, so
    /// that the next attempt asks anew.
    fn disarmed(&self, wakes: &mut Wakes) {
        let ready = Ready::READABLE | Ready::WRITABLE;
        let assumed = ASSUMED_READ | ASSUMED_WRITE;
        self.advance(u32::from(ready.bits()) | assumed, 0);
        self.collect(ready, wakes);
    }

    /// The driver's last word: it is gone, and everybody who waits is told.
    pub(crate) fn shut_down(&self, wakes: &mut Wakes) {
        self.advance(SHUTDOWN, 0);
        self.collect(Ready::ALL, wakes);
    }

    /// The home driver's key, while it is armed.
    pub(crate) fn key(&self) -> Option<u32> {
        // Relaxed: written and read under the driver's own lock.
        match self.key.load(Ordering::Relaxed) {
            NO_KEY => None,
            key => Some(key),
        }
    }

    pub(crate) fn set_key(&self, key: Option<u32>) {
        self.key.store(key.unwrap_or(NO_KEY), Ordering::Relaxed);
    }

    fn advance(&self, set: u32, unset: u32) {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = (state & !unset | set).wrapping_add(TICK_ONE);
            // Release pairs with the acquire in `event`.
            match self.state.compare_exchange_weak(
                state,
                next,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
    }

    fn collect(&self, ready: Ready, wakes: &mut Wakes) {
        let mut waiters = self.waiters.lock();
        for direction in Direction::BOTH {
            if !(ready & direction.mask()).is_empty() {
                wakes.extend(waiters.direct[direction.index()].take());
            }
        }
        if let Some(queue) = waiters.queue.as_mut() {
            for (_, queued) in queue.iter_mut() {
                if !(ready & queued.interest.mask()).is_empty() {
                    wakes.extend(queued.waker.take());
                }
            }
        }
    }
}

impl Event {
    fn of(state: u32, mask: Ready) -> Event {
        Event {
            ready: Ready::from_bits((state & READY_BITS) as u8) & mask,
            is_shutdown: state & SHUTDOWN != 0,
            tick: state & !FLAG_BITS,
        }
    }

    fn is_any(self) -> bool {
        !self.ready.is_empty() || self.is_shutdown
    }

    fn into_poll(self) -> Poll<Event> {
        if self.is_any() {
            Poll::Ready(self)
        } else {
            Poll::Pending
        }
    }
}
