//! What the models watch: loom's atomics and locks under `--cfg tapio_model`,
//! the real ones otherwise.

#[cfg(not(tapio_model))]
mod real {
    pub(crate) use std::cell::UnsafeCell;
    pub(crate) use std::sync::atomic::{AtomicUsize, Ordering, fence};

    pub(crate) use tapio_driver::lock::Mutex;
}

#[cfg(tapio_model)]
#[cfg_attr(not(test), expect(dead_code, reason = "the models are tests"))]
#[expect(
    unsafe_code,
    reason = "what is watched is used where it could not be shared"
)]
mod watched {
    use std::fmt;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::atomic::AtomicBool;

    use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering, fence};

    /// Set when loom objected, for what happens where panics are contained.
    pub(crate) static HAS_OBJECTED: AtomicBool = AtomicBool::new(false);

    /// Something that one thread may use at a time, or many read.
    pub(crate) struct Watch {
        cell: loom::cell::UnsafeCell<()>,
        /// Loaded before each use. Loom takes what a thread does up to its
        /// next atomic operation as part of the last one: a use right after a
        /// release would count as released.
        step: AtomicUsize,
    }

    // SAFETY: there is nothing in it; that it is used as if it could not be
    // shared is what loom looks for.
    unsafe impl Sync for Watch {}

    impl Watch {
        pub(crate) fn new() -> Watch {
            Watch {
                cell: loom::cell::UnsafeCell::new(()),
                step: AtomicUsize::new(0),
            }
        }

        pub(crate) fn read(&self) {
            self.step.load(Ordering::Relaxed);
            noted(|| self.cell.with(|_| ()));
        }

        pub(crate) fn write(&self) {
            self.step.load(Ordering::Relaxed);
            noted(|| self.cell.with_mut(|_| ()));
        }
    }

    pub(crate) fn noted(f: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
            HAS_OBJECTED.store(true, Ordering::Relaxed);
            resume_unwind(payload);
        }
    }

    /// `std`'s, of which every use counts as a use by one thread alone.
    pub(crate) struct UnsafeCell<T> {
        value: std::cell::UnsafeCell<T>,
        watch: Watch,
    }

    impl<T> UnsafeCell<T> {
        pub(crate) fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell {
                value: std::cell::UnsafeCell::new(value),
                watch: Watch::new(),
            }
        }

        pub(crate) fn get(&self) -> *mut T {
            self.watch.write();
            self.value.get()
        }
    }

    /// Loom's, without poison.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no model panics with a lock")
        }
    }

    impl<T> fmt::Debug for Mutex<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Mutex").finish_non_exhaustive()
        }
    }
}

#[cfg(not(tapio_model))]
pub(crate) use self::real::{AtomicUsize, Mutex, Ordering, UnsafeCell, fence};
#[cfg(tapio_model)]
pub(crate) use self::watched::{AtomicUsize, Mutex, Ordering, UnsafeCell, fence};
#[cfg(all(test, tapio_model))]
pub(crate) use self::watched::{HAS_OBJECTED, Watch, noted};
