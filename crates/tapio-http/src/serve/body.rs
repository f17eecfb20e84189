//! The body of a request.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::{Bytes, Incoming};
use tapio::task;

use crate::serve::pace::Pace;
use crate::serve::state::State;

/// The body of a request, which its client must send within bounds.
///
/// A client that lets the service wait for longer than
/// [`body_timeout`](crate::Serve::body_timeout), or sends less than
/// [`min_rate`](crate::Serve::min_rate) asks for, makes the next read an error of
/// the kind [`io::ErrorKind::TimedOut`], so that the service can answer. Over
/// HTTP/1 the connection is closed if it does not.
pub struct Body {
    incoming: Incoming,
    // Nothing is watched of a body that is empty.
    watch: Option<Watch>,
}

struct Watch {
    state: Arc<State>,
    /// The connection's task, if it is the one that runs the service, as over
    /// HTTP/1. As long as that task reads the body it does the waiting as well,
    /// so that a body which is here already costs no timer.
    home: Option<task::Id>,
    /// The wait in another task.
    pace: Option<Box<Pace>>,
    received: u64,
}

impl Body {
    pub(super) fn new(incoming: Incoming, state: &Arc<State>) -> Self {
        let is_watched = state.settings().body_timeout.is_some() && !incoming.is_end_stream();
        let watch = is_watched.then(|| Watch {
            state: Arc::clone(state),
            // Requests arrive in the connection's task. Over HTTP/2 each is
            // then answered in a task of its own.
            home: task::try_id().filter(|_| !state.is_http2()),
            pace: None,
            received: 0,
        });
        Self { incoming, watch }
    }

    /// Returns hyper's body, which waits without a limit.
    pub fn into_inner(mut self) -> Incoming {
        self.watch = None;
        self.incoming
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.incoming).poll_frame(cx);
        if let Some(watch) = &mut this.watch
            && watch.is_overdue(cx, &polled)
        {
            this.watch = None;
            return Poll::Ready(Some(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client sends the body of its request too slowly, or not at all",
            ))));
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Watch {
    fn is_overdue<E>(
        &mut self,
        cx: &mut Context<'_>,
        polled: &Poll<Option<Result<Frame<Bytes>, E>>>,
    ) -> bool {
        if let Poll::Ready(frame) = polled {
            if let Some(Ok(frame)) = frame {
                let count = frame.data_ref().map_or(0, Bytes::len);
                self.received += count as u64;
                if self.home.is_some() {
                    self.state.add_body_received(count);
                }
            }
            if self.home.is_some() {
                self.state.forget_body();
            }
            if let Some(pace) = &mut self.pace {
                pace.doubt();
            }
            return false;
        }
        if self.home.is_some() && self.home == task::try_id() {
            return self.state.await_body();
        }
        let Some(timeout) = self.state.settings().body_timeout else {
            return false;
        };
        let needed = self.state.settings().needed_within(timeout);
        let pace = self.pace.get_or_insert_default();
        while pace.is_due(cx, true, self.received, timeout) {
            if pace.is_too_slow(self.received, needed, timeout) {
                self.state.add_body_timeout();
                return true;
            }
        }
        false
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.home.is_some() {
            self.state.forget_body();
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("incoming", &self.incoming)
            .field("is_watched", &self.watch.is_some())
            .finish()
    }
}

/// A body that a service can ask its requests to have: [`Body`], or hyper's
/// [`Incoming`], for which clients have all the time in the world.
pub trait RequestBody: Send + 'static {
    #[doc(hidden)]
    fn make(incoming: Incoming, watch: Watching<'_>) -> Self;
}

/// What a body is watched with.
#[derive(Debug)]
pub struct Watching<'a> {
    pub(super) state: &'a Arc<State>,
}

impl RequestBody for Body {
    fn make(incoming: Incoming, watch: Watching<'_>) -> Self {
        Self::new(incoming, watch.state)
    }
}

impl RequestBody for Incoming {
    fn make(incoming: Incoming, _: Watching<'_>) -> Self {
        incoming
    }
}
