//! The one place where the runtime starts threads.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread with a name that debuggers and `ps` show.
pub(crate) fn start(
    name: String,
    stack_bytes: Option<usize>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let mut builder = Builder::new().name(name);
    if let Some(bytes) = stack_bytes {
        builder = builder.stack_size(bytes);
    }
    builder.spawn(body)
}
