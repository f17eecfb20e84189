//! Sockets whose readiness is known, or worth a guess, from their birth.
//!
//! A pair of sockets is writable, and so is an accepted connection, whose
//! first data is most often there as well: to ask the driver would cost more
//! than to try. So the first `readable` or `writable` of these answers at
//! once, unless an operation has found otherwise before. After that, and for
//! all other sockets, they wait for the kernel's word.

use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tapio_driver::{Direction, Interest, Ready};

use crate::coop;
use crate::watched::Watched;

/// A watched socket, and what it is taken to be ready for from the start.
pub(crate) struct Fresh<E: AsFd> {
    watched: Watched<E>,
    early: AtomicU8,
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;

impl<E: AsFd> Fresh<E> {
    pub(super) fn new(watched: Watched<E>, early: Ready) -> Fresh<E> {
        let read = if early.is_readable() { READABLE } else { 0 };
        let write = if early.is_writable() { WRITABLE } else { 0 };
        let early = AtomicU8::new(read | write);
        Fresh { watched, early }
    }

    pub(super) fn into_inner(self) -> E {
        self.watched.into_inner()
    }

    /// Waits until some of `interest` is there. As in tokio, this spends
    /// nothing of the task's budget; the operation that follows does.
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self.early(interest) {
            Ready::EMPTY => coop::unconstrained(self.watched.ready(interest)).await,
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

    /// What of `interest` is there from the start, as far as anybody knows, if
    /// nobody has asked before.
    fn early(&self, interest: Interest) -> Ready {
        let mut early = Ready::EMPTY;
        for (flag, one, ready) in [
            (READABLE, Interest::READABLE, Ready::READABLE),
            (WRITABLE, Interest::WRITABLE, Ready::WRITABLE),
        ] {
            let is_asked = !(interest.mask() & ready).is_empty();
            // Relaxed: the flag stands for itself; two who ask at once may
            // both be told, or one of them waits.
            if is_asked && self.early.load(Ordering::Relaxed) & flag != 0 {
                self.early.fetch_and(!flag, Ordering::Relaxed);
                if self.watched.is_ready(one) {
                    early |= ready;
                }
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
