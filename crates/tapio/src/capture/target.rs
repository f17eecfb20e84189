//! A thread whose stack may be copied.

#![expect(unsafe_code, reason = "asks the C library where a stack is")]

use std::cell::Cell;
use std::mem;
use std::ptr;

/// A thread, and where its stack is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    tid: i32,
    /// From the lowest address to the one after the highest.
    stack: (usize, usize),
    /// The signals that it blocked when this was made.
    blocked: libc::sigset_t,
}

impl Target {
    pub(crate) fn this_thread() -> Target {
        thread_local! {
            /// A thread's stack stays where it is, and to find out can mean
            /// to read a file.
            static STACK: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
        }
        let stack = STACK.get().unwrap_or_else(|| {
            let stack = own_stack();
            STACK.set(Some(stack));
            stack
        });
        Target {
            tid: rustix::thread::gettid().as_raw_nonzero().get(),
            stack,
            blocked: own_mask(),
        }
    }

    pub(crate) fn tid(&self) -> i32 {
        self.tid
    }

    pub(super) fn stack(&self) -> (usize, usize) {
        self.stack
    }

    /// Whether it has blocked a signal from the beginning.
    pub(super) fn always_blocks(&self, signal: i32) -> bool {
        // SAFETY: reads a set that is filled.
        unsafe { libc::sigismember(&raw const self.blocked, signal) == 1 }
    }
}

/// The signals that this thread blocks.
fn own_mask() -> libc::sigset_t {
    // SAFETY: a set of which all zeroes are one, and a call that changes
    // nothing and fills it.
    unsafe {
        let mut mask = mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut mask);
        mask
    }
}

/// Where this thread's stack is; nowhere, when the C library does not say.
fn own_stack() -> (usize, usize) {
    // SAFETY: a value for which all zeroes are one.
    let mut attributes: libc::pthread_attr_t = unsafe { mem::zeroed() };
    let (mut low, mut size) = (ptr::null_mut(), 0);
    // SAFETY: each call writes what it is given a pointer to, and the last one
    // frees what the first one made.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) != 0 {
            return (0, 0);
        }
        let asked = libc::pthread_attr_getstack(&raw const attributes, &raw mut low, &raw mut size);
        libc::pthread_attr_destroy(&raw mut attributes);
        if asked != 0 {
            return (0, 0);
        }
    }
    (low.addr(), low.addr().saturating_add(size))
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_local_is_on_the_stack_of_its_thread() {
        let is_there = || {
            let local = 0;
            let (low, high) = Target::this_thread().stack();
            (low..high).contains(&(&raw const local).addr())
        };
        assert!(is_there());
        assert!(std::thread::spawn(is_there).join().expect("it runs"));
    }
}
