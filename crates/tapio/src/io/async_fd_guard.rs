//! What `AsyncFd` answers with: a readiness that somebody must judge.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use tapio_driver::{Direction, Event};

use crate::io::Ready;
use crate::io::unix::AsyncFd;
use crate::watched::attempt;

/// The readiness of an [`AsyncFd`], to be cleared when it turns out not to be
/// there.
#[must_use = "say through the guard whether the descriptor was ready after all"]
pub struct AsyncFdReadyGuard<'a, T: AsRawFd> {
    async_fd: &'a AsyncFd<T>,
    readiness: Readiness,
}

/// The readiness of an [`AsyncFd`] that may be changed through the guard.
#[must_use = "say through the guard whether the descriptor was ready after all"]
pub struct AsyncFdReadyMutGuard<'a, T: AsRawFd> {
    async_fd: &'a mut AsyncFd<T>,
    readiness: Readiness,
}

/// What of an event has not been cleared yet.
struct Readiness(Option<Event>);

impl Readiness {
    fn ready(&self) -> Ready {
        self.0.map_or(Ready::EMPTY, |event| event.ready)
    }

    /// Takes `gone` out of what is left and has `async_fd` forget it.
    fn clear<T: AsRawFd>(&mut self, async_fd: &AsyncFd<T>, gone: Ready) {
        let Some(mut event) = self.0.take() else {
            return;
        };
        let left = event.ready - gone;
        event.ready = event.ready & gone;
        for direction in Direction::BOTH {
            // This can fail only where it registers, and that was done when
            // the `AsyncFd` was made.
            let _ = async_fd.watched.clear(event, direction);
        }
        if !left.is_empty() {
            event.ready = left;
            self.0 = Some(event);
        }
    }
}

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    pub(super) fn new(async_fd: &'a AsyncFd<T>, event: Event) -> Self {
        let readiness = Readiness(Some(event));
        AsyncFdReadyGuard {
            async_fd,
            readiness,
        }
    }

    /// Has the runtime forget this readiness: the next wait lasts until the
    /// kernel reports anew.
    ///
    /// To be called only after the descriptor answered `WouldBlock`, or what is
    /// there already may never be reported. A report that came in the meantime
    /// is kept.
    pub fn clear_ready(&mut self) {
        self.readiness.clear(self.async_fd, Ready::ALL);
    }

    /// [`clear_ready`](Self::clear_ready) for some of the readiness only; the
    /// guard keeps the rest.
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.readiness.clear(self.async_fd, ready);
    }

    /// Keeps the readiness, which dropping the guard does as well.
    pub fn retain_ready(&mut self) {}

    /// What the descriptor was ready for and has not been cleared.
    pub fn ready(&self) -> Ready {
        self.readiness.ready()
    }

    /// Calls `call` and clears the readiness if it would block.
    ///
    /// # Errors
    /// [`TryIoError`] if `call` would block: wait again then.
    pub fn try_io<R>(
        &mut self,
        call: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let outcome = attempt(|| call(self.async_fd));
        if would_block(&outcome) {
            self.clear_ready();
            return Err(TryIoError(()));
        }
        Ok(outcome)
    }

    /// The descriptor.
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.async_fd
    }

    /// The value within.
    pub fn get_inner(&self) -> &'a T {
        self.async_fd.get_ref()
    }
}

impl<'a, T: AsRawFd> AsyncFdReadyMutGuard<'a, T> {
    pub(super) fn new(async_fd: &'a mut AsyncFd<T>, event: Event) -> Self {
        let readiness = Readiness(Some(event));
        AsyncFdReadyMutGuard {
            async_fd,
            readiness,
        }
    }

    /// Has the runtime forget this readiness; see
    /// [`AsyncFdReadyGuard::clear_ready`].
    pub fn clear_ready(&mut self) {
        self.readiness.clear(self.async_fd, Ready::ALL);
    }

    /// [`clear_ready`](Self::clear_ready) for some of the readiness only; the
    /// guard keeps the rest.
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.readiness.clear(self.async_fd, ready);
    }

    /// Keeps the readiness, which dropping the guard does as well.
    pub fn retain_ready(&mut self) {}

    /// What the descriptor was ready for and has not been cleared.
    pub fn ready(&self) -> Ready {
        self.readiness.ready()
    }

    /// Calls `call` and clears the readiness if it would block.
    ///
    /// # Errors
    /// [`TryIoError`] if `call` would block: wait again then.
    pub fn try_io<R>(
        &mut self,
        call: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let outcome = attempt(|| call(self.async_fd));
        if would_block(&outcome) {
            self.clear_ready();
            return Err(TryIoError(()));
        }
        Ok(outcome)
    }

    /// The descriptor.
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.async_fd
    }

    /// The descriptor.
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.async_fd
    }

    /// The value within.
    pub fn get_inner(&self) -> &T {
        self.async_fd.get_ref()
    }

    /// The value within.
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.async_fd.get_mut()
    }
}

fn would_block<R>(outcome: &io::Result<R>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl<T: fmt::Debug + AsRawFd> fmt::Debug for AsyncFdReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyGuard")
            .field("async_fd", &self.async_fd)
            .field("ready", &self.ready())
            .finish()
    }
}

impl<T: fmt::Debug + AsRawFd> fmt::Debug for AsyncFdReadyMutGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyMutGuard")
            .field("async_fd", &self.async_fd)
            .field("ready", &self.ready())
            .finish()
    }
}

/// The descriptor was not ready after all: wait again.
#[derive(Debug)]
pub struct TryIoError(());

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the descriptor was not ready after all")
    }
}

impl Error for TryIoError {}
