//! A timer that runs by the CPU clock of another thread.

#![expect(unsafe_code, reason = "timers of the kernel have no safe wrapper")]

use std::ffi::c_void;
use std::{io, mem, ptr};

use super::no_stack::NoStack;
use crate::thread_state::cpu_clock;

/// Sends a signal to a thread once that has used the CPU for a moment longer;
/// does not when it was dropped before.
#[derive(Debug)]
pub(super) struct CpuTimer(libc::timer_t);

// SAFETY: a number that the kernel gave out, for any thread of the process.
unsafe impl Send for CpuTimer {}

impl CpuTimer {
    /// `signal` will carry `value`.
    pub(super) fn start(tid: i32, signal: i32, value: *mut c_void) -> Result<CpuTimer, NoStack> {
        let clock = cpu_clock(tid);
        // SAFETY: all zeroes are a value of either type, which are locals.
        let (mut event, mut when): (libc::sigevent, libc::itimerspec) =
            unsafe { (mem::zeroed(), mem::zeroed()) };
        event.sigev_value.sival_ptr = value;
        event.sigev_signo = signal;
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_notify_thread_id = tid;
        let mut timer = ptr::null_mut();
        // SAFETY: the kernel reads one local and writes another, which nobody
        // else knows of; it keeps neither.
        if unsafe { libc::timer_create(clock, &raw mut event, &raw mut timer) } != 0 {
            let error = io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                // No such clock: no such thread.
                Some(libc::EINVAL) => NoStack::Gone,
                _ => NoStack::Refused("timer_create", error),
            });
        }
        let timer = CpuTimer(timer);
        when.it_value.tv_nsec = 1;
        // SAFETY: the timer is there until `timer` is dropped; the kernel reads
        // a local that nobody else knows of.
        match unsafe { libc::timer_settime(timer.0, 0, &raw const when, ptr::null_mut()) } {
            0 => Ok(timer),
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ESRCH) => Err(NoStack::Gone),
                error => Err(NoStack::Refused("timer_settime", error)),
            },
        }
    }
}

impl Drop for CpuTimer {
    fn drop(&mut self) {
        // SAFETY: from `timer_create`, and deleted here alone: nobody else has
        // the number, and we are its only owner.
        unsafe { libc::timer_delete(self.0) };
    }
}
