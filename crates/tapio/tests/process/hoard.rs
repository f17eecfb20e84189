//! An allocator that one thread may keep to itself for a while, as one that is
//! in the middle of it does with some of its locks.

#![expect(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Hoard = Hoard;

static IS_KEPT: AtomicBool = AtomicBool::new(false);
/// How often the guard's thread called the allocator while it was watched.
static BY_GUARD: AtomicU64 = AtomicU64::new(0);
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IS_KEEPER: Cell<bool> = const { Cell::new(false) };
}

struct Hoard;

impl Hoard {
    fn wait(&self) {
        // Acquire pairs with the release in `keep`.
        while IS_KEPT.load(Ordering::Acquire) && !IS_KEEPER.get() {
            std::thread::sleep(Duration::from_micros(200));
        }
        if IS_WATCHED.load(Ordering::Relaxed) && is_guard() {
            BY_GUARD.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether this is the guard's thread, by the name that the kernel keeps.
fn is_guard() -> bool {
    let mut name = [0_u8; 16];
    // SAFETY: the kernel writes sixteen bytes at the most, to a local.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name.starts_with(b"tapio-guard\0")
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Hoard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.wait();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.wait();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        self.wait();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

/// Nobody else gets or gives back memory while `f` runs.
pub(crate) fn keep<R>(f: impl FnOnce() -> R) -> R {
    IS_KEEPER.set(true);
    IS_KEPT.store(true, Ordering::Release);
    let outcome = f();
    IS_KEPT.store(false, Ordering::Release);
    IS_KEEPER.set(false);
    outcome
}

/// How often the guard's thread calls the allocator while `f` runs.
pub(crate) fn calls_by_guard(f: impl FnOnce()) -> u64 {
    BY_GUARD.store(0, Ordering::Relaxed);
    IS_WATCHED.store(true, Ordering::Relaxed);
    f();
    IS_WATCHED.store(false, Ordering::Relaxed);
    BY_GUARD.load(Ordering::Relaxed)
}
