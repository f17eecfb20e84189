//! How much of what was written the peer has not taken.
//!
//! The kernel lets a writer go on only when a good part of its buffer has become
//! free, which takes a slow reader longer than any timeout. What is left in the
//! buffer tells such a reader from one that does not read.

#![expect(unsafe_code, reason = "an ioctl that rustix has no function for")]

use std::ffi::c_int;
use std::os::fd::AsFd;

use rustix::ioctl::{Getter, Opcode, ioctl};

/// `SIOCOUTQ`, as in `tcp(7)` and `unix(7)`, which has the terminals' number.
const OUTQ: Opcode = libc::TIOCOUTQ as Opcode;

/// Asks the kernel for the bytes in a socket's send buffer.
pub(super) fn unsent(socket: impl AsFd) -> Option<u64> {
    // SAFETY: this request writes one `int` to where it is told, which is inside
    // of the getter and nobody else's until the call returns.
    let count = unsafe { ioctl(socket, Getter::<OUTQ, c_int>::new()) }.ok()?;
    u64::try_from(count).ok()
}
