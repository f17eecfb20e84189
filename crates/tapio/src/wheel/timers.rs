//! The wheel as its worker and its timers see it.

use std::task::Waker;
use std::time::Instant;

use tapio_driver::Wakes;

use super::entries::{Entries, Entry, List};
use super::slots::{Place, Slots};
use super::ticks::Ticks;

/// How many timers one `advance` hands out. Half a million of them for one
/// moment must neither hold the lock nor fill memory with wakers in one go;
/// what is left is due at once.
const HANDED_OUT_AT_ONCE: usize = 4096;

/// The one claim on a timer in the wheel. Ends by `remove`, or by a `check`
/// or `reset` that finds the timer due.
#[derive(Debug)]
#[must_use = "a dropped key leaves its timer in the wheel"]
pub(crate) struct TimerKey(u32);

/// Why a timer was not taken in. The waker comes back in order to be dropped
/// without a lock.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The wheel's time has passed the deadline.
    Due(Option<Waker>),
    /// The runtime was shut down.
    ShutDown(Option<Waker>),
}

/// What became of a timer.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It fired and left the wheel, with a waker to be dropped without a lock.
    Fired(Option<Waker>),
    /// It waits and will wake the waker that was shown.
    Waiting(TimerKey),
    /// It waits and would wake another waker; see [`Wheel::set_waker`].
    WakesAnother(TimerKey),
    /// The runtime was shut down; the timer left the wheel.
    ShutDown(Option<Waker>),
}

/// A worker's timers.
///
/// It reads no clock: its time is what `advance` was told last. It runs no
/// foreign code either: wakers come in by value and go out by value, because
/// to clone, wake or drop one may run anybody's code, and whoever calls holds
/// the lock around the wheel.
#[derive(Debug)]
pub(crate) struct Wheel {
    ticks: Ticks,
    /// The tick up to which timers are due.
    time: u64,
    slots: Slots,
    entries: Entries,
    is_shut_down: bool,
}

impl Wheel {
    pub(crate) fn new(start: Instant) -> Wheel {
        Wheel {
            ticks: Ticks::from(start),
            time: 0,
            slots: Slots::new(),
            entries: Entries::new(),
            is_shut_down: false,
        }
    }

    /// How many timers are in it, with those that fired and were not yet
    /// checked or removed.
    pub(crate) fn len(&self) -> usize {
        self.entries.used()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    /// Takes in a timer.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        deadline: Instant,
        waker: Option<Waker>,
    ) -> Result<TimerKey, Refused> {
        if self.is_shut_down {
            return Err(Refused::ShutDown(waker));
        }
        let tick = self.ticks.at_or_after(deadline);
        if tick <= self.time {
            return Err(Refused::Due(waker));
        }
        let id = self.entries.claim();
        let entry = Entry { waker, tick, id };
        self.slots.push(self.time, &mut self.entries, entry);
        Ok(TimerKey(id))
    }

    /// Says what became of a timer, and takes it out once it fired.
    #[inline]
    pub(crate) fn check(&mut self, key: TimerKey, waker: &Waker) -> Outcome {
        if self.is_shut_down {
            return Outcome::ShutDown(self.remove(key));
        }
        match self.waiting(&key) {
            None => Outcome::Fired(self.remove(key)),
            Some(Entry {
                waker: Some(known), ..
            }) if known.will_wake(waker) => Outcome::Waiting(key),
            Some(_) => Outcome::WakesAnother(key),
        }
    }

    /// The timer, if it is not due yet. One that is due has fired, whether its
    /// waker was handed out already or not.
    #[inline]
    fn waiting(&self, key: &TimerKey) -> Option<&Entry> {
        self.entries
            .get(key.0)
            .filter(|entry| entry.tick > self.time)
    }

    /// Whether the timer fired.
    pub(crate) fn has_fired(&self, key: &TimerKey) -> bool {
        self.waiting(key).is_none()
    }

    /// Has the timer wake `waker`, and gives the one before back, or the new
    /// one if the timer fired meanwhile: `check` again.
    pub(crate) fn set_waker(&mut self, key: &TimerKey, waker: Waker) -> Option<Waker> {
        match self.entries.get_mut(key.0) {
            Some(entry) => entry.waker.replace(waker),
            None => Some(waker),
        }
    }

    /// Moves a timer to another deadline, with its waker if that was not
    /// handed out.
    ///
    /// # Errors
    /// The timer is due, or the wheel was shut down. It left the wheel; the
    /// waker of one that is due is to be woken.
    pub(crate) fn reset(&mut self, key: TimerKey, deadline: Instant) -> Result<TimerKey, Refused> {
        let id = key.0;
        let tick = self.ticks.at_or_after(deadline);
        if self.is_shut_down {
            return Err(Refused::ShutDown(self.remove(key)));
        }
        if tick <= self.time {
            return Err(Refused::Due(self.remove(key)));
        }
        let waker = self.take(id).and_then(|entry| entry.waker);
        let entry = Entry { waker, tick, id };
        self.slots.push(self.time, &mut self.entries, entry);
        Ok(key)
    }

    /// Takes a timer out, fired or not.
    #[inline]
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<Waker> {
        let entry = self.take(key.0);
        self.entries.release(key.0);
        entry.and_then(|entry| entry.waker)
    }

    /// Takes a timer out of its list; `None` if it was handed out.
    #[inline]
    fn take(&mut self, id: u32) -> Option<Entry> {
        let tick = self.entries.get(id)?.tick;
        Some(
            self.slots
                .take(Place::of(tick, self.time), &mut self.entries, id),
        )
    }

    /// The tick at which the wheel wants to be advanced: the first timer's, or
    /// at times an earlier one if that timer has been taken out. Timers cascade
    /// only when one of them is due, so nobody wakes for that alone.
    #[inline]
    pub(crate) fn next_tick(&self) -> Option<u64> {
        self.slots.first_tick(self.time)
    }

    /// When the wheel wants to be advanced; see [`Wheel::next_tick`].
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next_tick().map(|tick| self.ticks.moment(tick))
    }

    /// Moves the wheel's time to `now` and hands out the wakers of timers that
    /// are due, in the order of their ticks and, within a tick, in the order
    /// in which they came.
    ///
    /// One call hands out a bounded number. When there are more the wheel's
    /// time stops at their tick and `next_deadline` is in the past.
    pub(crate) fn advance(&mut self, now: Instant, wakes: &mut Wakes) {
        let target = self.ticks.reached(now);
        let mut room = HANDED_OUT_AT_ONCE;
        while let Some(place) = self.slots.first() {
            let begins = place.begins(self.time);
            if begins > target {
                break;
            }
            if place == Place::DUE {
                room = self.hand_out(room, wakes);
                if room == 0 {
                    return;
                }
                continue;
            }
            self.time = begins;
            let list = self.slots.take_all(place);
            if place.is_one_tick() {
                self.slots.put_all(Place::DUE, list);
            } else {
                self.cascade(list);
            }
        }
        // Time never goes back, even if two callers read the clock in one
        // order and came here in the other.
        self.time = self.time.max(target);
        self.entries.shrink_if_idle();
    }

    fn cascade(&mut self, mut list: List) {
        let (slots, time) = (&mut self.slots, self.time);
        while !list.is_empty() {
            self.entries.drain_chunk(&mut list, |entries, entry| {
                slots.push(time, entries, entry);
            });
        }
    }

    /// Hands out what is due, no more than about `room`, and says how much
    /// room is left.
    fn hand_out(&mut self, mut room: usize, wakes: &mut Wakes) -> usize {
        let mut list = self.slots.take_all(Place::DUE);
        while !list.is_empty() && room > 0 {
            let handed_out = self.entries.drain_chunk(&mut list, |_, entry| {
                if let Some(waker) = entry.waker {
                    wakes.push(waker);
                }
            });
            room = room.saturating_sub(handed_out);
        }
        self.slots.put_all(Place::DUE, list);
        room
    }

    /// Wakes everybody: their next `check` says that it is over.
    pub(crate) fn shut_down(&mut self, wakes: &mut Wakes) {
        self.is_shut_down = true;
        while let Some(place) = self.slots.first() {
            let list = self.slots.take_all(place);
            self.slots.put_all(Place::DUE, list);
            self.hand_out(usize::MAX, wakes);
        }
    }
}
