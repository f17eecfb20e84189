//! What a driver promises.
//!
//! A driver has two halves. Its owner, one thread at a time and any thread,
//! parks in the [`Driver`]; any thread may hold its [`Remote`] to have a source
//! watched or released and to wake the owner. Nothing outside this crate talks to the
//! kernel's event interfaces, and nothing outside asks the time but through
//! [`Remote::now`], so that a simulated world can implement the same contract.
//!
//! Promises that every driver keeps, checked by the conformance suite:
//! - a source armed while it is already ready is reported;
//! - an edge between two parks is reported by the second;
//! - an unpark before a park makes that park return at once; several count as one;
//! - after `release` the descriptor may be closed, which takes effect at once,
//!   and its number used anew without a report going astray;
//! - `shut_down` ends every watch and reports that to every waiter.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use crate::source::Source;
use crate::wakes::Wakes;

/// How operations, such as those on files, are done. Sockets are watched by
/// `epoll` either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DriverKind {
    /// By `io_uring`, where the kernel offers it.
    Ring,
    /// Without `io_uring`: by blocking calls on threads for that.
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

/// The owner's half of a driver. Whoever has it is the owner: it is bound to no
/// thread, so changing hands costs nothing and can fail at nothing.
pub trait Driver: Send + fmt::Debug {
    /// The half for everybody.
    fn remote(&self) -> Arc<dyn Remote>;

    /// Sleeps until something is reported, somebody unparks it or `limit` is
    /// reached, and puts whoever waited for what happened into `wakes`. The
    /// only place where a worker sleeps. A signal may end it as well, so that
    /// it returns for no reason that the owner can see.
    ///
    /// # Errors
    /// What the kernel answers, other than interruption and timeout.
    fn park(&mut self, limit: Limit, wakes: &mut Wakes) -> io::Result<()>;

    /// Ends every watch, reports the end to every waiter, and closes what the
    /// driver holds. Later calls of the remote's `arm` fail. A driver that is
    /// dropped does this by itself.
    fn shut_down(&mut self, wakes: &mut Wakes);
}

/// The half of a driver that any thread may hold.
pub trait Remote: Send + Sync + fmt::Debug {
    /// Reports what `source` is ready for, in both directions, from now until it
    /// is released. Never blocks.
    ///
    /// # Errors
    /// What the kernel answers at once: a descriptor that cannot be watched,
    /// no memory, the driver shut down.
    fn arm(&self, source: &Arc<Source>) -> io::Result<()>;

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

    /// The number of watches, for tests and metrics that look for leaks.
    fn live(&self) -> usize;
}
