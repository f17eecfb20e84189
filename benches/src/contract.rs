//! What a peer offers and a workload uses: neither names the other.
//!
//! Futures made of these traits are handed to a peer's own `spawn` where all
//! types are concrete (see the macros in [`crate::workloads`]). So the compiler
//! sees for itself whether they are `Send`, and one workload serves the runtimes
//! that need `Send` and those that do not.

use std::{future::Future, io, time::Duration};

/// A connection, read and written the way its runtime does that best.
pub(crate) trait Stream {
    /// Reads some bytes to the front of `buf` and says how many; 0 at the end.
    ///
    /// `buf` has as much length as capacity when it is first handed in; a shim
    /// may leave it shortened to what was read, if it fills up to the capacity
    /// again the next time.
    fn read(&mut self, buf: &mut Vec<u8>) -> impl Future<Output = io::Result<usize>>;

    /// Writes the first `len` bytes of `buf`, where `len` is what the last read gave.
    fn write(&mut self, buf: &mut Vec<u8>, len: usize) -> impl Future<Output = io::Result<()>>;
}

/// The runtime's own pieces for work inside one process.
pub(crate) trait Primitives {
    type Sender: Sender;
    type Receiver: Receiver;

    /// A channel such as a user of this runtime would take for two of its tasks.
    fn channel() -> (Self::Sender, Self::Receiver);

    /// Lets the other tasks run.
    fn yield_now() -> impl Future<Output = ()>;

    /// Waits for `duration`.
    fn sleep(duration: Duration) -> impl Future<Output = ()>;
}

/// Sends numbers to the other task.
pub(crate) trait Sender {
    fn send(&mut self, value: u64) -> impl Future<Output = ()>;
}

/// Receives them; `None` once the sender is gone.
pub(crate) trait Receiver {
    fn recv(&mut self) -> impl Future<Output = Option<u64>>;
}
