//! How long a connection is waited for.
//!
//! One timer per connection, armed when there is something to wait for and left
//! alone otherwise: a request that arrives neither reads the clock nor touches
//! the timer. Two waits share it:
//!
//! - **head**: from the first byte of a request (for the first request: from
//!   the beginning of the connection) until the head is complete. A beginning
//!   that came in one piece with the request before it is not seen, and counts
//!   as idle.
//! - **idle**: without a request. The timer is armed when the first idle spell
//!   begins; when it fires and requests have come in between, it is armed again.
//!   So an idle connection is closed after one to two times the idle timeout.
//!
//! A connection that is answering a request is not timed: that is for the
//! service to do. Neither is one that was upgraded, or that has carried an
//! upgraded stream of HTTP/2: hyper does not say when such a stream ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use tapio::time::{Instant, Sleep, sleep_until};

use crate::rt::now;
use crate::serve::settings::Settings;
use crate::serve::state::State;

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The head of a request.
    Head,
    /// Any request at all.
    Request,
}

/// The waits of one connection.
#[derive(Debug, Default)]
pub(super) struct Patience {
    // Boxed, since many connections never need it and hold it for long.
    timer: Option<Pin<Box<Sleep>>>,
    wait: Option<Wait>,
}

/// What the timer is armed for.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Head,
    /// With the number of requests that had come when it was armed.
    Idle(u64),
}

impl Patience {
    /// Looks at a connection that cannot go on, and says what is overdue. The
    /// task of `cx` is woken when something may be.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        state: &State,
        settings: &Settings,
    ) -> Poll<Overdue> {
        if state.is_busy() || state.is_upgraded() {
            return Poll::Pending;
        }
        let requests = state.requests();
        let is_head = !state.is_http2() && (requests == 0 || state.has_unanswered_bytes());
        let timeout = if is_head {
            settings.header_read_timeout
        } else {
            settings.idle_timeout
        };
        let Some(timeout) = timeout else {
            self.wait = None;
            return Poll::Pending;
        };
        match (is_head, self.wait) {
            (true, Some(Wait::Head)) | (false, Some(Wait::Idle(_))) => {}
            (true, _) => {
                let since = if requests == 0 { state.since() } else { now() };
                self.arm(since.checked_add(timeout), Wait::Head);
            }
            (false, _) => self.arm(now().checked_add(timeout), Wait::Idle(requests)),
        }
        loop {
            let Some(timer) = &mut self.timer else {
                return Poll::Pending;
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match self.wait {
                Some(Wait::Idle(seen)) if seen != requests => {
                    self.arm(now().checked_add(timeout), Wait::Idle(requests));
                }
                Some(Wait::Idle(_)) => {
                    // Who is asked to close gets the same time once more.
                    self.arm(now().checked_add(timeout), Wait::Idle(requests));
                    return Poll::Ready(Overdue::Request);
                }
                Some(Wait::Head) | None => return Poll::Ready(Overdue::Head),
            }
        }
    }

    fn arm(&mut self, deadline: Option<Instant>, wait: Wait) {
        self.wait = Some(wait);
        match (deadline, &mut self.timer) {
            (Some(deadline), Some(timer)) => timer.as_mut().reset(deadline),
            (Some(deadline), None) => self.timer = Some(Box::pin(sleep_until(deadline))),
            // A timeout that the clock cannot express never comes.
            (None, _) => self.timer = None,
        }
    }
}
