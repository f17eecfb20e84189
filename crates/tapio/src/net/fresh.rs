//! Sockets whose readiness is known, or worth a guess, from their birth.
//!
//! A pair of sockets is writable, and so is an accepted connection, whose
//! first data is most often there as well: to ask the driver would cost more
//! than to try. So `readable` and its like answer at once for these, until an
//! operation has found otherwise. For all other sockets they wait for the
//! kernel's word.

use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use tapio_driver::{Direction, Interest, Ready};

use crate::coop;
use crate::watched::Watched;

/// A watched socket, and what it is taken to be ready for from the start.
pub(crate) struct Fresh<E: AsFd> {
    watched: Watched<E>,
    early: Ready,
}

impl<E: AsFd> Fresh<E> {
    pub(super) fn new(watched: Watched<E>, early: Ready) -> Fresh<E> {
        Fresh { watched, early }
    }

    pub(super) fn into_inner(self) -> E {
        self.watched.into_inner()
    }

    /// Waits until some of `interest` is there. As in tokio, this spends
    /// nothing of the task's budget; the operation that follows does.
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self.early(interest) {
            Ready::EMPTY => self.watched.ready(interest).await,
            early => Ok(early),
        }
    }

    /// Waits, in the shape of a poll function, until `direction` can go on.
    pub(super) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<()>> {
        let interest = match direction {
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
        };
        if self.early(interest).is_empty() {
            return self.watched.poll_ready(cx, direction).map_ok(drop);
        }
        ready!(coop::poll_proceed(cx)).made_progress();
        Poll::Ready(Ok(()))
    }

    /// What of `interest` was there from the start and still is, as far as
    /// anybody knows.
    fn early(&self, interest: Interest) -> Ready {
        let mut early = self.early & interest.mask();
        for (ready, interest) in [
            (Ready::READABLE, Interest::READABLE),
            (Ready::WRITABLE, Interest::WRITABLE),
        ] {
            if early.contains(ready) && self.watched.try_io(interest, || Ok(())).is_err() {
                early = early - ready;
            }
        }
        early
    }
}

impl<E: AsFd> Deref for Fresh<E> {
    type Target = Watched<E>;

    fn deref(&self) -> &Watched<E> {
        &self.watched
    }
}
