//! An operating system object and its place at the runtime's drivers.
//!
//! Everything in `net`, and `AsyncFd`, is a thin layer over this. The object
//! is tried first; only when the kernel answers "would block" is a driver
//! asked to watch it: that of the worker which then runs, or one of the
//! runtime's if this thread is no worker.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tapio_driver::{Direction, Event, Interest, Place, Ready, Remote, Source};

use crate::context;
use crate::coop;
use crate::runtime::Handle;

/// An object with a descriptor, watched by a driver when it must wait.
pub(crate) struct Watched<E: AsFd> {
    /// `None` only once taken out by `into_inner`.
    io: Option<E>,
    source: Arc<Source>,
    handle: Handle,
}

impl<E: AsFd> Watched<E> {
    #[track_caller]
    pub(crate) fn new(io: E) -> io::Result<Watched<E>> {
        let handle = Handle::current();
        assert!(
            handle.is_io_enabled(),
            "A Tokio 1.x context was found, but IO is disabled. Call `enable_io` on the runtime \
             builder to enable IO."
        );
        // A task that ends with its poll has it end at its next await.
        if handle.shared.is_stopping() && context::ending_poll().is_none() {
            return Err(tapio_driver::shut_down_error());
        }
        let source = Source::new(io.as_fd().as_raw_fd());
        Ok(Watched {
            io: Some(io),
            source,
            handle,
        })
    }

    pub(crate) fn get(&self) -> &E {
        self.io.as_ref().expect("taken out only by `into_inner`")
    }

    /// Ends the watch and gives the object back.
    pub(crate) fn into_inner(mut self) -> E {
        self.source.release();
        self.io.take().expect("taken out only here")
    }

    /// Has the driver watch the object now, and not only when it must wait.
    pub(crate) fn register_now(&self) -> io::Result<()> {
        for direction in Direction::BOTH {
            if self.source.settle(direction) {
                self.arm()?;
            }
        }
        Ok(())
    }

    /// Waits for the kernel's word that `direction` can go on.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<Event>> {
        let spent = ready!(coop::poll_proceed(cx));
        let event = match self.ask(direction.interest())? {
            Some(event) => event,
            None => ready!(self.source.poll_ready(cx, direction)),
        };
        spent.made_progress();
        check(cx, event).map_ok(|()| event)
    }

    /// What the kernel says at this moment of an object that is not watched.
    /// If that is nothing, or it is watched, its driver is to be waited for.
    fn ask(&self, interest: Interest) -> io::Result<Option<Event>> {
        if !directions(interest).any(|direction| self.source.is_assumed(direction)) {
            return Ok(None);
        }
        let event = self.source.ask(interest);
        if !event.ready.is_empty() {
            return Ok(Some(event));
        }
        for direction in directions(interest) {
            self.settle(direction)?;
        }
        Ok(None)
    }

    /// Takes back readiness that was used up.
    pub(crate) fn clear(&self, event: Event, direction: Direction) -> io::Result<()> {
        if self.source.clear(event, direction) {
            self.arm()?;
        }
        Ok(())
    }

    /// Takes back what the kernel has just denied by "would block".
    fn refute(&self, event: Event, direction: Direction) -> io::Result<()> {
        if self.source.refute(event, direction) {
            self.arm()?;
        }
        Ok(())
    }

    fn refute_interest(&self, event: Event, interest: Interest) -> io::Result<()> {
        for direction in directions(interest) {
            self.refute(event, direction)?;
        }
        Ok(())
    }

    /// Tries `f` until it does not answer "would block", waiting in between.
    ///
    /// # Cost
    /// One call of `f` while the object is ready; no allocation, no lock.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut f: impl FnMut(&E) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let spent = ready!(coop::poll_proceed(cx));
        loop {
            let event = ready!(self.source.poll_ready(cx, direction));
            ready!(check(cx, event))?;
            match attempt(|| f(self.get())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.refute(event, direction)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => {
                    spent.made_progress();
                    return Poll::Ready(outcome);
                }
            }
        }
    }

    /// As `poll_io`, for reading into `capacity` bytes of a stream that never
    /// stops in the middle of what is there: fewer bytes than that mean that
    /// nothing is left, which spares the call that would say so.
    pub(crate) fn poll_read_some(
        &self,
        cx: &mut Context<'_>,
        capacity: usize,
        mut f: impl FnMut(&E) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_some(cx, Direction::Read, capacity, &mut f)
    }

    /// As `poll_read_some`, for writing `length` bytes to a stream.
    pub(crate) fn poll_write_some(
        &self,
        cx: &mut Context<'_>,
        length: usize,
        mut f: impl FnMut(&E) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_some(cx, Direction::Write, length, &mut f)
    }

    fn poll_some(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        asked: usize,
        f: &mut impl FnMut(&E) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let spent = ready!(coop::poll_proceed(cx));
        loop {
            let event = ready!(self.source.poll_ready(cx, direction));
            ready!(check(cx, event))?;
            match attempt(|| f(self.get())) {
                Ok(done) => {
                    let is_short = 0 < done && done < asked.min(COUNT_MAX);
                    if is_short && self.source.is_used_up_by_short(direction) {
                        self.clear(event, direction)?;
                    }
                    spent.made_progress();
                    return Poll::Ready(Ok(done));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.refute(event, direction)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Tries `f` until it does not answer "would block", waiting for
    /// `interest` in between. Any number of futures may wait at once.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped: `f` has then not succeeded.
    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut(&E) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut waiter = Waiter::new(&self.source);
        loop {
            let event = poll_fn(|cx| {
                let spent = ready!(coop::poll_proceed(cx));
                let event = ready!(waiter.poll(cx, interest));
                spent.made_progress();
                check(cx, event).map_ok(|()| event)
            })
            .await?;
            match attempt(|| f(self.get())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.refute_interest(event, interest)?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits for the kernel's word that some of `interest` is there. As in
    /// tokio, this spends nothing of the task's budget; the operation that
    /// follows does.
    ///
    /// # Cancel safety
    /// Readiness is not used up: nothing is lost when dropped.
    pub(crate) async fn ready_event(&self, interest: Interest) -> io::Result<Event> {
        let mut waiter = Waiter::new(&self.source);
        poll_fn(|cx| {
            let event = match self.ask(interest)? {
                Some(event) => event,
                None => ready!(waiter.poll(cx, interest)),
            };
            check(cx, event).map_ok(|()| event)
        })
        .await
    }

    /// As `ready_event`, without what it takes to clear it.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Ok(self.ready_event(interest).await?.ready)
    }

    /// Tries `f` once if the object may be ready, without waiting.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let event = self.source.event(interest.mask());
        if event.ready.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match attempt(f) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.refute_interest(event, interest)?;
                Err(error)
            }
            outcome => outcome,
        }
    }

    fn settle(&self, direction: Direction) -> io::Result<()> {
        if self.source.settle(direction) {
            self.arm()?;
        }
        Ok(())
    }

    #[cold]
    fn arm(&self) -> io::Result<()> {
        self.source.arm(|| self.home())
    }

    /// The driver that is to watch: this worker's, if this thread is one.
    fn home(&self) -> Arc<dyn Remote> {
        let shared = &self.handle.shared;
        Arc::clone(shared.seat(shared.home_seat()).remote())
    }
}

/// The most bytes that one call reads or writes, whatever it was asked for
/// (the kernel's `MAX_RW_COUNT`).
const COUNT_MAX: usize = 0x7fff_f000;

/// Makes a call to the kernel: the place through which all I/O goes, and where
/// it is counted for the running task. What would have blocked or was
/// interrupted did nothing.
#[inline]
pub(crate) fn attempt<R>(call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    let outcome = call();
    let did_nothing = matches!(&outcome, Err(error) if matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    ));
    if !did_nothing {
        context::note_io();
    }
    outcome
}

/// The directions that an interest is about.
fn directions(interest: Interest) -> impl Iterator<Item = Direction> {
    let read = interest.is_readable() || interest.is_priority() || interest.is_error();
    let read = read.then_some(Direction::Read);
    let write = interest.is_writable().then_some(Direction::Write);
    read.into_iter().chain(write)
}

/// A driver that is gone for good is an error for whoever waits on it, other
/// than a task that ends with it.
#[inline]
fn check(cx: &mut Context<'_>, event: Event) -> Poll<io::Result<()>> {
    if event.is_shutdown {
        ready!(coop::poll_ending(cx));
        return Poll::Ready(Err(tapio_driver::shut_down_error()));
    }
    Poll::Ready(Ok(()))
}

/// A place in a source's queue, left when dropped.
struct Waiter<'a> {
    source: &'a Source,
    place: Place,
}

impl<'a> Waiter<'a> {
    fn new(source: &'a Source) -> Waiter<'a> {
        Waiter {
            source,
            place: Place::default(),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, interest: Interest) -> Poll<Event> {
        self.source.poll_queued(cx, interest, &mut self.place)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.source.leave(&mut self.place);
    }
}

impl<E: AsFd> Drop for Watched<E> {
    fn drop(&mut self) {
        if self.io.is_some() {
            self.source.release();
        }
    }
}

impl<E: AsFd + fmt::Debug> fmt::Debug for Watched<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}
