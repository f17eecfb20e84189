//! How long a connection is waited for.
//!
//! One timer per connection for two of the waits, armed when there is something to wait for and left
//! alone otherwise: a request that arrives neither reads the clock nor touches
//! the timer:
//!
//! - **head**: from the first byte of a request (for the first request: from
//!   the beginning of the connection) until the head is complete. A beginning
//!   that came in one piece with the request before it is not seen, and counts
//!   as idle.
//! - **idle**: without a request. The timer is armed when the first idle spell
//!   begins; when it fires and requests have come in between, it is armed again.
//!   So an idle connection is closed after one to two times the idle timeout.
//!
//! - **body** and **write**: while the peer has to do something for a request that
//!   is being answered. They have timers of their own; see [`Pace`].
//!
//! What the service itself does is not timed: that is its own matter. Neither is
//! a connection of HTTP/1 that was upgraded. One of HTTP/2 that carries an
//! upgraded stream is idle when no request comes; hyper does not say when such a
//! stream ends, but ends the connection with it if asked to.

use std::pin::Pin;
use std::task::{Context, Poll};

use tapio::time::{Instant, Sleep, sleep_until};

use crate::rt::now;
use crate::serve::pace::Pace;
use crate::serve::settings::Settings;
use crate::serve::state::State;

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The head of a request.
    Head,
    /// Any request at all.
    Request,
    /// The body of a request, over HTTP/1.
    Body,
    /// Perhaps the reading of a response: how much the peer has not received is
    /// to be found out, by polling the stream once more.
    Unsent,
    /// The reading of a response.
    Write,
}

/// The waits for a peer that has to move bytes.
#[derive(Debug, Default)]
struct Paces {
    body: Pace,
    write: Pace,
    /// Over HTTP/2, for windows that the peer does not open.
    answers: Pace,
    is_unsent_known: bool,
}

/// The waits of one connection.
#[derive(Debug, Default)]
pub(super) struct Patience {
    // Boxed, since many connections never need it and hold it for long.
    timer: Option<Pin<Box<Sleep>>>,
    wait: Option<Wait>,
    paces: Option<Box<Paces>>,
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
        if let Some(overdue) = self.poll_paces(cx, state, settings) {
            return Poll::Ready(overdue);
        }
        if state.is_busy() || (state.is_upgraded() && !state.is_http2()) {
            return Poll::Pending;
        }
        let requests = state.requests();
        let is_head = !state.is_http2() && (requests == 0 || state.has_unanswered_bytes());
        let timeout = if is_head {
            settings.header_read_timeout
        } else if requests == 0 {
            // The first request of HTTP/2. `None` is not less than a time here.
            let timeouts = [settings.header_read_timeout, settings.idle_timeout];
            timeouts.into_iter().flatten().min()
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

    /// Looks at what the peer has to do for the requests that are being answered.
    fn poll_paces(
        &mut self,
        cx: &mut Context<'_>,
        state: &State,
        settings: &Settings,
    ) -> Option<Overdue> {
        let is_blocked = state.is_send_blocked();
        let has_body = state.is_body_awaited();
        let has_answers = state.is_http2() && state.is_busy();
        let is_at_rest = !is_blocked && !state.is_busy();
        if is_at_rest && let Some(paces) = &mut self.paces {
            paces.body.rest();
            paces.write.rest();
            paces.answers.rest();
        }
        if is_at_rest || !(is_blocked || has_body || has_answers || self.paces.is_some()) {
            return None;
        }
        let paces = self.paces.get_or_insert_default();
        if let Some(timeout) = settings.body_timeout {
            let (pace, moved) = (&mut paces.body, state.body_received());
            let needed = settings.needed_within(timeout);
            while pace.is_due(cx, has_body, moved, timeout) {
                if pace.is_too_slow(moved, needed, timeout) {
                    return Some(Overdue::Body);
                }
            }
        }
        let timeout = settings.write_timeout?;
        let needed = settings.needed_within(timeout);
        loop {
            let (pace, moved) = (&mut paces.write, state.bytes_received_by_peer());
            if !pace.is_due(cx, is_blocked, moved, timeout) {
                paces.is_unsent_known = false;
                break;
            }
            if !paces.is_unsent_known {
                paces.is_unsent_known = true;
                return Some(Overdue::Unsent);
            }
            paces.is_unsent_known = false;
            if pace.is_too_slow(moved, needed, timeout) {
                return Some(Overdue::Write);
            }
        }
        let (pace, moved) = (&mut paces.answers, state.answer_bytes());
        while pace.is_due(cx, has_answers, moved, timeout) {
            // The streams have tasks of their own, so nobody knows for how long
            // a frame has been held.
            pace.doubt();
            let needed = if state.is_answer_held() { needed } else { 0 };
            if pace.is_too_slow(moved, needed, timeout) {
                return Some(Overdue::Write);
            }
        }
        None
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
