//! The wheel as its worker and its timers see it.

use std::task::Waker;
use std::time::Instant;

use tapio_driver::Wakes;

use super::entries::{Entries, HANDED_OUT, List, NONE};
use super::slots::{Place, Slots};
use super::ticks::Ticks;

/// How many wakers one `advance` hands out. Half a million timers for one
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
        let id = self.entries.add(tick, waker);
        self.slots.push(Place::of(tick, self.time), &mut self.entries, id);
        Ok(TimerKey(id))
    }

    /// Says what became of a timer, and takes it out once it fired.
    #[inline]
    pub(crate) fn check(&mut self, key: TimerKey, waker: &Waker) -> Outcome {
        let entry = self.entries.get(key.0);
        if self.is_shut_down {
            return Outcome::ShutDown(self.remove(key));
        }
        if entry.tick <= self.time {
            return Outcome::Fired(self.remove(key));
        }
        match &entry.waker {
            Some(known) if known.will_wake(waker) => Outcome::Waiting(key),
            _ => Outcome::WakesAnother(key),
        }
    }

    /// Whether the timer fired.
    pub(crate) fn has_fired(&self, key: &TimerKey) -> bool {
        self.entries.get(key.0).tick <= self.time
    }

    /// Has the timer wake `waker`, and gives the one before back. If the timer
    /// fired meanwhile nobody is woken: `check` again.
    pub(crate) fn set_waker(&mut self, key: &TimerKey, waker: Waker) -> Option<Waker> {
        self.entries.get_mut(key.0).waker.replace(waker)
    }

    /// Moves a timer to another deadline, with its waker if it has not fired.
    /// A timer that is due thereby leaves the wheel; its waker is to be woken.
    ///
    /// # Errors
    /// The timer is due, or the wheel was shut down.
    pub(crate) fn reset(&mut self, key: TimerKey, deadline: Instant) -> Result<TimerKey, Refused> {
        if self.is_shut_down {
            return Err(Refused::ShutDown(self.remove(key)));
        }
        let tick = self.ticks.at_or_after(deadline);
        if tick <= self.time {
            return Err(Refused::Due(self.remove(key)));
        }
        self.unlink(key.0);
        self.entries.get_mut(key.0).tick = tick;
        self.slots.push(Place::of(tick, self.time), &mut self.entries, key.0);
        Ok(key)
    }

    /// Takes a timer out, fired or not.
    #[inline]
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<Waker> {
        self.unlink(key.0);
        self.entries.release(key.0)
    }

    #[inline]
    fn unlink(&mut self, id: u32) {
        let tick = self.entries.get(id).tick;
        if tick != HANDED_OUT {
            self.slots.unlink(Place::of(tick, self.time), &mut self.entries, id);
        }
    }

    /// The tick at which the wheel wants to be advanced, never later than the
    /// first timer's, earlier when timers have to cascade. What one compares
    /// to learn whether the next deadline moved.
    #[inline]
    pub(crate) fn next_tick(&self) -> Option<u64> {
        let place = self.slots.first()?;
        // A timer that is alone in its slot need not be woken for on its way
        // down: a program with few timers wakes for each of them once.
        Some(match self.slots.list(place).only() {
            Some(id) => self.entries.get(id).tick,
            None => place.begins(self.time),
        })
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
                self.hand_out(&mut room, wakes);
                if room == 0 {
                    return;
                }
                continue;
            }
            self.time = begins;
            let list = self.slots.take(place);
            if place.is_one_tick() {
                self.slots.append(Place::DUE, &mut self.entries, list);
            } else {
                self.cascade(list);
            }
        }
        // Time never goes back, even if two callers read the clock in one
        // order and came here in the other.
        self.time = self.time.max(target);
        self.entries.shrink_if_idle();
    }

    fn cascade(&mut self, list: List) {
        let mut id = list.head;
        while id != NONE {
            let entry = self.entries.get(id);
            let next = entry.next;
            self.slots.push(Place::of(entry.tick, self.time), &mut self.entries, id);
            id = next;
        }
    }

    fn hand_out(&mut self, room: &mut usize, wakes: &mut Wakes) {
        let mut list = self.slots.take(Place::DUE);
        while list.head != NONE && *room > 0 {
            let entry = self.entries.get_mut(list.head);
            entry.tick = HANDED_OUT;
            list.head = entry.next;
            if let Some(waker) = entry.waker.take() {
                wakes.push(waker);
                *room -= 1;
            }
        }
        if list.head != NONE {
            self.entries.get_mut(list.head).prev = NONE;
            self.slots.append(Place::DUE, &mut self.entries, list);
        }
    }

    /// Wakes everybody: their next `check` says that it is over.
    pub(crate) fn shut_down(&mut self, wakes: &mut Wakes) {
        self.is_shut_down = true;
        self.slots = Slots::new();
        self.entries.hand_out_all(|waker| wakes.push(waker));
    }
}
