//! Why there is no stack.

use std::{fmt, io};

use crate::thread_state::Syscall;

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
    /// As many stacks are being copied as may be.
    Busy,
    /// The thread waited, and went on while its stack was read.
    WentOn,
    /// It was over before the thread had copied its stack.
    Over,
    /// The thread has ended.
    Gone,
    /// It is not known where the thread waits.
    Unknown(io::Error),
    /// The thread waits in a call for whose end a reader would wait too.
    ChangesMemory(Syscall),
    /// The kernel does not give what sends the signal, with this call.
    Refused(&'static str, io::Error),
    /// The stack cannot be read.
    Unreadable(io::Error),
    /// Not on this architecture.
    Unsupported,
}

impl NoStack {
    /// Whether it is worth to ask again.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            NoStack::Busy | NoStack::WentOn | NoStack::SignalBlockedNow(_)
        )
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
                "the thread did not answer: it is kept from every CPU, or computes in a system \
                 call",
            ),
            NoStack::Busy => f.write_str("too many other stacks were being copied"),
            NoStack::WentOn => f.write_str("the thread went on whenever it was looked at"),
            NoStack::Over => f.write_str("it was over before the stack was copied"),
            NoStack::Gone => f.write_str("the thread has ended"),
            NoStack::Unknown(error) => {
                write!(f, "the kernel does not say where the thread waits: {error}")
            }
            NoStack::ChangesMemory(call) => {
                write!(
                    f,
                    "whoever read it would have to wait for the end of {call}"
                )
            }
            NoStack::Refused(call, error) => write!(f, "{call}: {error}"),
            NoStack::Unreadable(error) => write!(f, "process_vm_readv: {error}"),
            NoStack::Unsupported => f.write_str("stacks are copied on x86_64 and aarch64 only"),
        }
    }
}
