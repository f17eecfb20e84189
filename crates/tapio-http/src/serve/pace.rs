//! Whether a peer keeps up: it must move some bytes in each span of time in
//! which it is waited for.
//!
//! The clock is read when a span begins, not when bytes move. So a peer that
//! trickles is found out like one that does nothing, and one that keeps up
//! costs nothing but a timer in each span.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tapio::time::{Sleep, sleep_until};

use crate::rt::now;

/// So many slow spans in a row are too many even if the peer was not waited for
/// all the time: then the service or another stream may have had its part in it.
const DOUBTFUL_SPANS_MAX: u32 = 2;

/// The spans of one thing that is waited for.
#[derive(Debug, Default)]
pub(super) struct Pace {
    // Kept from one span to the next.
    timer: Option<Pin<Box<Sleep>>>,
    is_running: bool,
    /// What had been moved when the span began.
    mark: u64,
    /// Whether the peer was not waited for at some time in the span.
    is_broken: bool,
    doubtful_spans: u32,
}

impl Pace {
    /// Returns whether a span has ended in which the peer was waited for, as it
    /// still is: then [`is_too_slow`](Self::is_too_slow) is to be asked. A span
    /// begins if there is none.
    pub(super) fn is_due(
        &mut self,
        cx: &mut Context<'_>,
        is_awaited: bool,
        moved: u64,
        timeout: Duration,
    ) -> bool {
        if !is_awaited {
            self.is_broken = true;
            return false;
        }
        if !self.is_running {
            self.doubtful_spans = 0;
            self.begin(moved, timeout);
        }
        let timer = self.timer.as_mut();
        timer.is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
    }

    /// Judges the span that has ended, and begins the next.
    pub(super) fn is_too_slow(&mut self, moved: u64, needed: u64, timeout: Duration) -> bool {
        let is_slow = moved.saturating_sub(self.mark) < needed;
        if !is_slow {
            self.doubtful_spans = 0;
        } else if self.is_broken {
            self.doubtful_spans += 1;
        }
        let is_too_slow = is_slow && (!self.is_broken || self.doubtful_spans >= DOUBTFUL_SPANS_MAX);
        self.begin(moved, timeout);
        is_too_slow
    }

    /// Puts the span that runs in doubt.
    pub(super) fn doubt(&mut self) {
        self.is_broken = true;
    }

    /// Ends the span: there is nothing to wait for, and what comes next is new.
    pub(super) fn rest(&mut self) {
        self.is_running = false;
    }

    fn begin(&mut self, moved: u64, timeout: Duration) {
        self.mark = moved;
        self.is_broken = false;
        self.is_running = true;
        match (now().checked_add(timeout), &mut self.timer) {
            (Some(deadline), Some(timer)) => timer.as_mut().reset(deadline),
            (Some(deadline), None) => self.timer = Some(Box::pin(sleep_until(deadline))),
            // A timeout that the clock cannot express never comes.
            (None, _) => self.timer = None,
        }
    }
}
