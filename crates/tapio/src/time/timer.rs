//! A deadline and its place in a wheel: what sleeps and intervals share.

use std::mem;
use std::task::{Context, Poll, Waker, ready};

use crate::coop;
use crate::runtime::Handle;
use crate::time::Instant;
use crate::wheel::{Outcome, Refused, TimerKey};

const TIME_DISABLED: &str = "A Tokio 1.x context was found, but timers are disabled. Call \
                             `enable_time` on the runtime builder to enable timers.";
const SHUT_DOWN: &str = "A Tokio 1.x context was found, but it is being shutdown. (The tapio \
                         runtime in which this timer was made has ended.)";

/// A timer of one runtime. It takes a place in a wheel when it is first
/// polled, and keeps it until it fires, is reset or dropped, wherever it is
/// polled from.
#[derive(Debug)]
pub(super) struct Timer {
    handle: Handle,
    deadline: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In no wheel yet.
    Idle,
    /// In the wheel of `seat`, fired or not.
    Registered { seat: u32, key: TimerKey },
    /// Fired, and known to have.
    Elapsed,
}

impl Timer {
    /// A timer of the runtime that this thread is in.
    #[track_caller]
    pub(super) fn new(deadline: Instant) -> Timer {
        let handle = match Handle::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        };
        assert!(handle.is_time_enabled(), "{TIME_DISABLED}");
        Timer {
            handle,
            deadline,
            state: State::Idle,
        }
    }

    /// A timer that is due from the start.
    #[track_caller]
    pub(super) fn due(deadline: Instant) -> Timer {
        let mut timer = Timer::new(deadline);
        timer.state = State::Elapsed;
        timer
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn is_elapsed(&self) -> bool {
        match &self.state {
            State::Idle => false,
            State::Registered { seat, key } => {
                self.handle.with_wheel(*seat, |wheel| wheel.has_fired(key))
            }
            State::Elapsed => true,
        }
    }

    /// Waits for the deadline. Panics once the runtime was shut down, other
    /// than in a task that ends with it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let spent = ready!(coop::poll_proceed(cx));
        ready!(self.poll_deadline(cx));
        spent.made_progress();
        Poll::Ready(())
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker();
        loop {
            match mem::replace(&mut self.state, State::Idle) {
                State::Idle => return self.register(cx),
                State::Registered { seat, key } => {
                    let outcome = self
                        .handle
                        .with_wheel(seat, |wheel| wheel.check(key, waker));
                    match outcome {
                        Outcome::Waiting(key) => {
                            self.state = State::Registered { seat, key };
                            return Poll::Pending;
                        }
                        Outcome::WakesAnother(key) => {
                            self.state = State::Registered { seat, key };
                            // To clone a waker may run anybody's code, so it
                            // is not done under the wheel's lock; and once
                            // more around, as the timer may fire in between.
                            self.show(waker.clone());
                        }
                        Outcome::Fired(waker) => {
                            self.state = State::Elapsed;
                            drop(waker);
                        }
                        Outcome::ShutDown(waker) => {
                            drop(waker);
                            return poll_shut_down(cx);
                        }
                    }
                }
                State::Elapsed => {
                    self.state = State::Elapsed;
                    return Poll::Ready(());
                }
            }
        }
    }

    fn show(&mut self, waker: Waker) {
        if let State::Registered { seat, key } = &self.state {
            let before = self
                .handle
                .with_wheel(*seat, |wheel| wheel.set_waker(key, waker));
            drop(before);
        }
    }

    /// Takes a place in the wheel nearest to this thread.
    fn register(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let (seat, deadline) = (self.handle.timer_seat(), self.deadline.into_std());
        match self
            .handle
            .with_wheel(seat, |wheel| wheel.insert(deadline, Some(waker)))
        {
            Ok(key) => {
                self.state = State::Registered { seat, key };
                Poll::Pending
            }
            Err(Refused::Due(waker)) => {
                self.state = State::Elapsed;
                drop(waker);
                Poll::Ready(())
            }
            Err(Refused::ShutDown(waker)) => {
                drop(waker);
                poll_shut_down(cx)
            }
        }
    }

    /// Gives the timer another deadline and starts it. Whoever waits for it
    /// is woken at the new deadline without polling again.
    pub(super) fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        match mem::replace(&mut self.state, State::Idle) {
            State::Registered { seat, key } => {
                let deadline = deadline.into_std();
                match self
                    .handle
                    .with_wheel(seat, |wheel| wheel.reset(key, deadline))
                {
                    Ok(key) => self.state = State::Registered { seat, key },
                    Err(Refused::Due(waker)) => {
                        self.state = State::Elapsed;
                        if let Some(waker) = waker {
                            waker.wake();
                        }
                    }
                    // The next poll says so.
                    Err(Refused::ShutDown(waker)) => drop(waker),
                }
            }
            State::Idle | State::Elapsed => self.start(),
        }
    }

    /// Takes a place with nobody to wake, for `is_elapsed` and the next poll.
    fn start(&mut self) {
        let (seat, deadline) = (self.handle.timer_seat(), self.deadline.into_std());
        match self
            .handle
            .with_wheel(seat, |wheel| wheel.insert(deadline, None))
        {
            Ok(key) => self.state = State::Registered { seat, key },
            Err(Refused::Due(_)) => self.state = State::Elapsed,
            // The next poll says so.
            Err(Refused::ShutDown(_)) => {}
        }
    }

    /// Makes the timer due at once, and wakes whoever waits for it.
    pub(super) fn make_due(&mut self, deadline: Instant) {
        self.deadline = deadline;
        let waker = self.leave();
        self.state = State::Elapsed;
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Gives the timer another deadline, to be started by the next poll.
    pub(super) fn set_idle(&mut self, deadline: Instant) {
        self.deadline = deadline;
        drop(self.leave());
    }

    /// Leaves the wheel.
    #[inline]
    fn leave(&mut self) -> Option<Waker> {
        match mem::replace(&mut self.state, State::Idle) {
            State::Registered { seat, key } => {
                self.handle.with_wheel(seat, |wheel| wheel.remove(key))
            }
            State::Idle | State::Elapsed => None,
        }
    }
}

impl Drop for Timer {
    #[inline]
    fn drop(&mut self) {
        drop(self.leave());
    }
}

#[cold]
#[inline(never)]
fn poll_shut_down(cx: &mut Context<'_>) -> Poll<()> {
    ready!(coop::poll_ending(cx));
    panic!("{SHUT_DOWN}")
}
