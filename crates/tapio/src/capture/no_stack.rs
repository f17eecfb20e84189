//! Why there is no stack.

use std::{fmt, io};

/// Why a stack was not copied.
#[derive(Debug)]
pub(crate) enum NoStack {
    /// The program has set a handler of its own for this signal.
    HandlerReplaced(i32),
    /// The thread blocks this signal, and did from the beginning.
    SignalBlocked(i32),
    /// The thread blocks this signal now: it may still be in our handler, kept
    /// from a CPU.
    SignalBlockedNow(i32),
    /// The thread did not answer in time.
    TimedOut,
    /// The thread has ended.
    Gone,
    /// The kernel does not let the signal be sent.
    Refused(io::Error),
    /// The thread is on a stack that is not its own, which cannot be read.
    Unreadable(io::Error),
    /// Not on this architecture.
    Unsupported,
}

impl NoStack {
    /// Whether it is worth to ask again.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, NoStack::TimedOut | NoStack::SignalBlockedNow(_))
    }
}

const CHOOSE: &str = "choose another with `Builder::stall_signal`";

impl fmt::Display for NoStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoStack::HandlerReplaced(signal) => write!(
                f,
                "the program has replaced the handler of signal {signal}; {CHOOSE}"
            ),
            NoStack::SignalBlocked(signal) => {
                write!(f, "the thread blocks signal {signal}; {CHOOSE}")
            }
            NoStack::SignalBlockedNow(signal) => write!(
                f,
                "the thread blocks signal {signal} at present, or has not got through its \
                 handler yet"
            ),
            NoStack::TimedOut => f.write_str(
                "the thread did not answer: it is kept from every CPU, or is in a call that \
                 nothing interrupts",
            ),
            NoStack::Gone => f.write_str("the thread has ended"),
            NoStack::Refused(error) => write!(f, "rt_tgsigqueueinfo: {error}"),
            NoStack::Unreadable(error) => write!(
                f,
                "it runs on a stack that is not its own, and process_vm_readv says: {error}"
            ),
            NoStack::Unsupported => f.write_str("stacks are copied on x86_64 and aarch64 only"),
        }
    }
}
