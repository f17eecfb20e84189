//! What timers fail with.

use std::fmt;
use std::io;

/// The time given to a future ran out before it was done.
///
/// What [`timeout`](super::timeout) and [`timeout_at`](super::timeout_at)
/// answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl Elapsed {
    pub(super) fn new() -> Elapsed {
        Elapsed(())
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(_: Elapsed) -> io::Error {
        io::ErrorKind::TimedOut.into()
    }
}

/// Why a timer cannot be.
///
/// Nothing in this crate returns one: it is here for code that names it.
#[derive(Clone, Copy, Debug)]
pub struct Error(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Shutdown,
    AtCapacity,
    Invalid,
}

impl Error {
    /// The runtime behind the timer was shut down.
    #[must_use]
    pub fn shutdown() -> Error {
        Error(Kind::Shutdown)
    }

    /// Whether the runtime behind the timer was shut down.
    #[must_use]
    pub fn is_shutdown(&self) -> bool {
        self.0 == Kind::Shutdown
    }

    /// There are too many timers.
    #[must_use]
    pub fn at_capacity() -> Error {
        Error(Kind::AtCapacity)
    }

    /// Whether there are too many timers.
    #[must_use]
    pub fn is_at_capacity(&self) -> bool {
        self.0 == Kind::AtCapacity
    }

    /// The deadline is none.
    #[must_use]
    pub fn invalid() -> Error {
        Error(Kind::Invalid)
    }

    /// Whether the deadline is none.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.0 == Kind::Invalid
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Shutdown => "the runtime of this timer has been shut down",
            Kind::AtCapacity => "no room for another timer",
            Kind::Invalid => "the deadline is beyond what a timer can wait for",
        })
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::{Elapsed, Error};
    use std::io;

    #[test]
    fn errors_say_what_they_are() {
        assert_eq!(Elapsed::new().to_string(), "deadline has elapsed");
        assert_eq!(
            io::Error::from(Elapsed::new()).kind(),
            io::ErrorKind::TimedOut
        );
        assert!(Error::shutdown().is_shutdown() && !Error::shutdown().is_invalid());
        assert!(Error::at_capacity().is_at_capacity() && !Error::at_capacity().is_shutdown());
        assert!(Error::invalid().is_invalid() && !Error::invalid().is_at_capacity());
    }
}
