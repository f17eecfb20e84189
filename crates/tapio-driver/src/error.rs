//! What errors say.

use std::fmt;
use std::io;

/// An error that says which step it came from.
pub(crate) fn named(step: &str, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{step}: {error}"))
}

/// The runtime behind a resource has been shut down.
#[derive(Debug)]
struct ShutDown;

impl fmt::Display for ShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("A Tokio 1.x context was found, but it is being shutdown.")
    }
}

impl std::error::Error for ShutDown {}

/// The error for anything asked of a driver that was shut down, in tokio's
/// words.
#[must_use]
pub fn shut_down_error() -> io::Error {
    io::Error::other(ShutDown)
}

/// Whether an error is that of [`shut_down_error`].
#[must_use]
pub fn is_shut_down_error(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<ShutDown>())
}
