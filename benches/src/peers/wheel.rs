//! The floor for timers: a hashed wheel of one thread, a list per millisecond.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// Milliseconds to a turn; a timer further away stays where it is for more turns.
const SLOTS: usize = 4096;
const NONE: u32 = u32::MAX;

struct Entry {
    /// When, in milliseconds since the wheel began.
    tick: u64,
    waker: Option<Waker>,
    previous: u32,
    next: u32,
}

struct Wheel {
    start: Instant,
    /// All ticks before this one have fired.
    tick: u64,
    heads: Vec<u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
}

thread_local! {
    static WHEEL: RefCell<Wheel> = RefCell::new(Wheel::new());
}

/// Waits for `duration`; the clock is read once.
pub(crate) fn sleep(duration: Duration) -> impl Future<Output = ()> {
    let mut timer = Timer {
        due: Instant::now() + duration,
        entry: NONE,
    };
    poll_fn(move |cx| timer.poll(cx))
}

/// When the next list that is not empty is due.
pub(crate) fn next_due() -> Option<Instant> {
    WHEEL.with_borrow(|wheel| {
        let ticks = wheel.tick..wheel.tick + SLOTS as u64;
        let tick = ticks
            .into_iter()
            .find(|&tick| wheel.heads[slot(tick)] != NONE)?;
        Some(wheel.start + Duration::from_millis(tick))
    })
}

/// Wakes everybody who is due at `now`.
pub(crate) fn fire(now: Instant) {
    let mut due = Vec::new();
    WHEEL.with_borrow_mut(|wheel| wheel.take_due(now, &mut due));
    due.into_iter().for_each(Waker::wake);
}

struct Timer {
    due: Instant,
    entry: u32,
}

impl Timer {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        WHEEL.with_borrow_mut(|wheel| {
            if self.entry == NONE {
                self.entry = wheel.insert(self.due, cx.waker().clone());
                return Poll::Pending;
            }
            let waker = &mut wheel.entries[self.entry as usize].waker;
            match waker {
                None => Poll::Ready(()),
                Some(waker) => {
                    waker.clone_from(cx.waker());
                    Poll::Pending
                }
            }
        })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if self.entry != NONE {
            WHEEL.with_borrow_mut(|wheel| wheel.remove(self.entry));
        }
    }
}

impl Wheel {
    fn new() -> Self {
        let heads = vec![NONE; SLOTS];
        Self {
            start: Instant::now(),
            tick: 0,
            heads,
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    fn insert(&mut self, due: Instant, waker: Waker) -> u32 {
        // Rounded up: a timer may be late, never early.
        let tick = due.saturating_duration_since(self.start).as_millis() as u64 + 1;
        let tick = tick.max(self.tick);
        let head = &mut self.heads[slot(tick)];
        let entry = Entry {
            tick,
            waker: Some(waker),
            previous: NONE,
            next: *head,
        };
        let index = self.free.pop().unwrap_or(self.entries.len() as u32);
        if *head != NONE {
            self.entries[*head as usize].previous = index;
        }
        *head = index;
        match self.entries.get_mut(index as usize) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        index
    }

    /// Takes an entry off its list; one that has fired is on none.
    fn unlink(&mut self, index: u32) {
        let Entry {
            tick,
            previous,
            next,
            ..
        } = self.entries[index as usize];
        match previous {
            NONE => self.heads[slot(tick)] = next,
            previous => self.entries[previous as usize].next = next,
        }
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
    }

    fn remove(&mut self, index: u32) {
        if self.entries[index as usize].waker.take().is_some() {
            self.unlink(index);
        }
        self.free.push(index);
    }

    fn take_due(&mut self, now: Instant, due: &mut Vec<Waker>) {
        let until = now.saturating_duration_since(self.start).as_millis() as u64;
        while self.tick <= until {
            let mut index = self.heads[slot(self.tick)];
            while index != NONE {
                let next = self.entries[index as usize].next;
                if self.entries[index as usize].tick <= self.tick {
                    self.unlink(index);
                    due.extend(self.entries[index as usize].waker.take());
                }
                index = next;
            }
            self.tick += 1;
        }
    }
}

fn slot(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::{
        task::Waker,
        time::{Duration, Instant},
    };

    use super::{SLOTS, Wheel};

    #[test]
    fn fires_in_time_after_any_number_of_turns_and_never_what_was_removed() {
        let mut wheel = Wheel::new();
        let start = wheel.start;
        let at = |ms: u64| start + Duration::from_millis(ms);
        let turn = SLOTS as u64;
        for ms in [5, 5, 7, turn + 5] {
            wheel.insert(at(ms), Waker::noop().clone());
        }
        let removed = wheel.insert(at(5), Waker::noop().clone());
        wheel.remove(removed);
        let mut fired = |now: Instant| {
            let mut due = Vec::new();
            wheel.take_due(now, &mut due);
            due.len()
        };
        assert_eq!(fired(at(5)), 0, "rounded up to the next millisecond");
        assert_eq!(fired(at(6)), 2);
        assert_eq!(fired(at(100)), 1);
        assert_eq!(fired(at(turn + 5)), 0);
        assert_eq!(fired(at(turn + 6)), 1);
        assert_eq!(fired(at(3 * turn)), 0);
    }
}
