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

/// Has the stack of this thread below its caller in memory, as deep as the
/// runtime's own code goes: a page that comes later may have to wait for the
/// kernel's lock on the memory map.
// Inlined, it would make its caller's frame that large.
#[inline(never)]
pub(crate) fn warm_stack() {
    const BYTES: usize = 32 << 10;
    std::hint::black_box([1_u8; BYTES]);
}
