//! What errors say.

use std::io;

/// An error that says which step it came from.
pub(crate) fn named(step: &str, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{step}: {error}"))
}

/// The error for anything asked of a driver that was shut down.
pub(crate) fn gone() -> io::Error {
    io::Error::other("the runtime behind this resource has been shut down")
}
