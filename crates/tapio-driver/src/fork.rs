//! Which process this is, of those that `fork` made of one another.
//!
//! A child has its parent's memory and one of its threads. An epoll, an event
//! descriptor or a socket that it inherits is no copy: what it does to one
//! happens to the parent. A lock that another thread held at that moment stays
//! held. So what is bound to a process remembers which one, and asks before it
//! touches the kernel, takes a lock or waits for a thread.
//!
//! Asking is one relaxed load. The answer changes in a handler that the C
//! library's `fork` calls in the child before it returns there, and at no other
//! time; a child by a bare `clone` is not noticed.

#![expect(
    unsafe_code,
    reason = "a handler of `fork`, and statics that a child makes anew"
)]

use std::fmt;
use std::io;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// Counts the forks between the first process that asked and this one. Relaxed,
/// always: it changes while its process has one thread.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Whether `fork` made this process of one that had asked which it was: then
/// there may be something inherited, and it is worth while to look.
///
/// # Cost
/// One relaxed load.
#[inline]
#[must_use]
pub fn is_child() -> bool {
    GENERATION.load(Ordering::Relaxed) != 0
}

/// A process, among those that `fork` made of one another: a child differs from
/// all that it descends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// This one.
    #[inline]
    #[must_use]
    pub fn current() -> Process {
        static IS_COUNTED: AtomicBool = AtomicBool::new(false);
        // Acquire pairs with the release below: who finds it counted forks
        // after the handler was there. Two that come at once have each fork
        // counted twice, which is no harm; a `Once` could be inherited halfway.
        if !IS_COUNTED.load(Ordering::Acquire) && at_fork(count) {
            IS_COUNTED.store(true, Ordering::Release);
        }
        Process(GENERATION.load(Ordering::Relaxed))
    }

    /// Whether this is the process. May be asked in a signal handler.
    ///
    /// # Cost
    /// One relaxed load.
    #[inline]
    #[must_use]
    pub fn is_current(self) -> bool {
        GENERATION.load(Ordering::Relaxed) == self.0
    }

    /// Refuses what a child has inherited.
    ///
    /// # Errors
    /// When this is not the process; `operation` is what was tried.
    #[inline]
    pub fn check(self, operation: &'static str) -> io::Result<()> {
        if self.is_current() {
            return Ok(());
        }
        Err(io::Error::other(Inherited(operation)))
    }

    /// As [`Process::check`], for what cannot return an error.
    ///
    /// # Panics
    /// When this is not the process.
    #[inline]
    #[track_caller]
    pub fn require(self, operation: &'static str) {
        if !self.is_current() {
            refuse(operation);
        }
    }
}

#[cold]
#[track_caller]
fn refuse(operation: &'static str) -> ! {
    panic!("{}", Inherited(operation));
}

/// Something of the parent's was used in a child.
#[derive(Clone, Copy, Debug)]
pub struct Inherited(
    /// What was tried.
    pub &'static str,
);

impl Inherited {
    /// Ends this process: a thread of the parent's runtime has come back, in a
    /// child, to where it would do the parent's work a second time, and nobody
    /// is there to be given an error.
    #[cold]
    pub fn abort(self) -> ! {
        write_error(&format!("tapio: {self}\n"));
        std::process::abort();
    }
}

impl fmt::Display for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, child) = (self.0, std::process::id());
        write!(
            f,
            "{operation}: this runtime belongs to the parent process; `fork` made process {child} \
             of it, without its threads\n  help: build a new runtime in the child, after `fork`, \
             or call `exec` or `exit` there; a socket goes to it by `into_std` and `from_std`"
        )
    }
}

impl std::error::Error for Inherited {}

/// Writes to standard error without `std`'s lock, which a thread that a child
/// does not have may hold.
pub fn write_error(text: &str) {
    let mut left = text.as_bytes();
    while !left.is_empty() {
        match rustix::io::write(rustix::stdio::stderr(), left) {
            Ok(written) if written > 0 => left = &left[written..],
            Err(rustix::io::Errno::INTR) => {}
            // Closed or full: there is nobody to tell.
            _ => return,
        }
    }
}

/// Has the C library call `handler` in each child that its `fork` makes, on the
/// thread that forked. Returns whether it will, which takes a little memory.
///
/// Locks of other threads may be held there for ever: `handler` takes none, and
/// allocates nothing.
pub fn at_fork(handler: extern "C" fn()) -> bool {
    // SAFETY: a function that may be called at any time, and is never unloaded.
    unsafe { libc::pthread_atfork(None, None, Some(handler)) == 0 }
}

extern "C" fn count() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// A static of which each process has its own. A child makes a new one when it
/// first asks; what it inherits is left as it is, for ever, since threads that
/// the child does not have may hold the locks in it.
pub struct PerProcess<T> {
    current: AtomicPtr<Owned<T>>,
    make: fn(Option<&T>) -> T,
}

struct Owned<T> {
    process: Process,
    value: T,
}

impl<T: Sync + 'static> PerProcess<T> {
    /// `make` is given what a child has inherited, if anything. Several threads
    /// may call it at once; one outcome is kept.
    #[must_use]
    pub const fn new(make: fn(Option<&T>) -> T) -> PerProcess<T> {
        PerProcess {
            current: AtomicPtr::new(ptr::null_mut()),
            make,
        }
    }

    /// This process's, made at the first call.
    ///
    /// # Cost
    /// A load with an acquire and a relaxed one.
    #[inline]
    pub fn get(&self) -> &'static T {
        // Acquire pairs with the exchange in `make`.
        let current = self.current.load(Ordering::Acquire);
        // SAFETY: null, or from a box that is never freed.
        match unsafe { current.as_ref() } {
            Some(owned) if owned.process.is_current() => &owned.value,
            _ => self.make(current),
        }
    }

    /// This process's, if it was made. May be called in a signal handler.
    #[inline]
    #[must_use]
    pub fn get_made(&self) -> Option<&'static T> {
        // Acquire, and SAFETY: as in `get`.
        let current = unsafe { self.current.load(Ordering::Acquire).as_ref() };
        current
            .filter(|owned| owned.process.is_current())
            .map(|owned| &owned.value)
    }

    #[cold]
    fn make(&self, inherited: *mut Owned<T>) -> &'static T {
        // SAFETY: as in `get`.
        let before = unsafe { inherited.as_ref() }.map(|owned| &owned.value);
        let made = Box::into_raw(Box::new(Owned {
            process: Process::current(),
            value: (self.make)(before),
        }));
        // Release: it is written before it is found. Acquire: so was that of
        // another thread.
        let outcome =
            self.current
                .compare_exchange(inherited, made, Ordering::AcqRel, Ordering::Acquire);
        let kept = match outcome {
            Ok(_) => made,
            Err(other) => {
                // SAFETY: from the box above, and nobody has seen it.
                drop(unsafe { Box::from_raw(made) });
                other
            }
        };
        // SAFETY: from a box that is never freed.
        unsafe { &(*kept).value }
    }
}

impl<T: Sync + 'static> Deref for PerProcess<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.get()
    }
}

impl<T> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerProcess").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::{PerProcess, Process};

    #[test]
    fn a_process_is_itself_and_has_one_value_of_each() {
        static VALUE: PerProcess<AtomicU32> = PerProcess::new(|inherited| {
            assert!(inherited.is_none(), "nothing was made before");
            AtomicU32::new(0)
        });
        assert!(VALUE.get_made().is_none());
        let process = Process::current();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    VALUE.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(Process::current(), process);
                });
            }
        });
        assert_eq!(VALUE.load(Ordering::Relaxed), 4);
        assert!(process.is_current() && process.check("nothing").is_ok());
    }
}
