//! What a process may use, made smaller.

#![expect(unsafe_code, reason = "giving up root takes setuid")]

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// The user who owns nothing, by its usual number.
const NOBODY: libc::uid_t = 65_534;

/// Sets the limit, which only root could raise again.
pub(crate) fn limit(resource: Resource, to: u64) {
    let limit = Rlimit {
        current: Some(to),
        maximum: Some(to),
    };
    setrlimit(resource, limit).expect("a limit can be lowered");
}

/// Gives root up for the whole process, since limits on memory do not bind
/// root. Of no effect for another user, whom they bind already.
pub(crate) fn give_up_root() {
    if rustix::process::geteuid().is_root() {
        // SAFETY: takes a number; the C library changes every thread.
        let outcome = unsafe { libc::setuid(NOBODY) };
        assert_eq!(outcome, 0, "setuid: {}", io::Error::last_os_error());
    }
}
