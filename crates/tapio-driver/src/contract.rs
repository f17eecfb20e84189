//! What a driver promises.
//!
//! A driver has two halves. Its owner, one worker at a time, parks in the
//! [`Driver`]; any thread may hold its [`Remote`] to have a source watched or
//! released and to wake the owner. Nothing outside this crate talks to the
//! kernel's event interfaces, and nothing outside asks the time but through
//! [`Remote::now`], so that a simulated world can implement the same contract.
//!
//! Promises that every driver keeps, checked by the conformance suite:
//! - a direction armed while it is already ready is reported;
//! - an edge between two parks is reported by the second;
//! - an unpark before a park makes that park return at once; several count as one;
//! - after `release` the descriptor may be closed and its number used anew
//!   without a report going astray;
//! - `shut_down` ends every kernel operation and tells every waiter.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use crate::source::{Direction, Source};
use crate::wakes::Wakes;

/// Which conversation with the kernel a driver holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DriverKind {
    /// `io_uring`.
    Ring,
    /// Readiness by `epoll`.
    Poll,
}

impl DriverKind {
    /// The name by which it is chosen.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DriverKind::Ring => "ring",
            DriverKind::Poll => "poll",
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DriverKind {
    type Err = UnknownDriver;

    fn from_str(name: &str) -> Result<DriverKind, UnknownDriver> {
        match name {
            "ring" => Ok(DriverKind::Ring),
            "poll" => Ok(DriverKind::Poll),
            _ => Err(UnknownDriver(name.into())),
        }
    }
}

/// A driver's name that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDriver(String);

impl fmt::Display for UnknownDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown driver {:?}: expected `ring` or `poll`", self.0)
    }
}

impl std::error::Error for UnknownDriver {}

/// How long a park may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Take what is there and return.
    NoWait,
    /// Until this moment at the latest.
    Until(Instant),
    /// Until something happens.
    Forever,
}

/// The owner's half of a driver.
pub trait Driver: Send + fmt::Debug {
    /// Which one it is.
    fn kind(&self) -> DriverKind;

    /// The half for everybody.
    fn remote(&self) -> Arc<dyn Remote>;

    /// Makes the calling thread the owner. Must be called by each thread that
    /// takes the driver over, before its first park; costs next to nothing
    /// when the thread owns it already.
    ///
    /// # Errors
    /// When the kernel gives this thread no ring; the driver is as it was.
    fn occupy(&mut self) -> io::Result<()>;

    /// Sleeps until something is reported, somebody unparks it or `limit` is
    /// reached, and puts whoever waited for what happened into `wakes`. The
    /// only place where a worker sleeps. A signal may end it as well, so that
    /// it returns for no reason that the owner can see.
    ///
    /// # Errors
    /// What the kernel answers, other than interruption and timeout.
    fn park(&mut self, limit: Limit, wakes: &mut Wakes) -> io::Result<()>;

    /// Ends every kernel operation, tells every waiter, and closes what the
    /// driver holds. Later calls of the remote's `arm` fail. A driver that is
    /// dropped does this by itself.
    fn shut_down(&mut self, wakes: &mut Wakes);
}

/// The half of a driver that any thread may hold.
pub trait Remote: Send + Sync + fmt::Debug {
    /// Asks to be told when `source` can go on in `direction`, from now until
    /// it is released. Never blocks.
    ///
    /// # Errors
    /// What the kernel answers at once: a descriptor that cannot be watched,
    /// no memory, the driver shut down.
    fn arm(&self, source: &Arc<Source>, direction: Direction) -> io::Result<()>;

    /// Ends the watch over `source`. Never blocks. Called by the owner of the
    /// descriptor before closing it.
    fn release(&self, source: &Arc<Source>);

    /// Wakes the owner from its park, or keeps it from the next one.
    ///
    /// # Cost
    /// One atomic exchange while the owner runs; a system call when it sleeps.
    fn unpark(&self);

    /// The time, of this driver's world.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// How many kernel operations and registrations are alive, for tests and
    /// metrics that look for leaks.
    fn live(&self) -> usize;
}
