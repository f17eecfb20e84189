//! Who is at the other end of a Unix stream.

#![expect(
    unsafe_code,
    reason = "the peer's process may be 0, which no safe wrapper allows for"
)]
#![expect(non_camel_case_types, reason = "tokio's names, which are C's")]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};

/// A user's number.
pub type uid_t = u32;
/// A group's number.
pub type gid_t = u32;
/// A process's number.
pub type pid_t = i32;

/// Who was at the other end of a Unix stream when it was connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred {
    pid: Option<pid_t>,
    uid: uid_t,
    gid: gid_t,
}

impl UCred {
    /// The user.
    pub fn uid(&self) -> uid_t {
        self.uid
    }

    /// The group.
    pub fn gid(&self) -> gid_t {
        self.gid
    }

    /// The process. Zero if it cannot be seen from here (another namespace).
    pub fn pid(&self) -> Option<pid_t> {
        self.pid
    }

    /// Asks the kernel.
    pub(super) fn of_peer(socket: impl AsFd) -> io::Result<UCred> {
        let mut cred = libc::ucred {
            pid: 0,
            uid: 0,
            gid: 0,
        };
        let mut len = mem::size_of_val(&cred) as libc::socklen_t;
        // SAFETY: the descriptor is borrowed and therefore open; the kernel
        // writes at most `len` bytes into `cred`, which is that long, ours
        // alone, and valid whatever numbers it holds.
        let outcome = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut cred).cast(),
                &raw mut len,
            )
        };
        if outcome != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(UCred {
            pid: Some(cred.pid),
            uid: cred.uid,
            gid: cred.gid,
        })
    }
}
