//! User-space memory: bytes allocated, and the resident size.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
};

static COUNTING: AtomicBool = AtomicBool::new(false);
static BYTES: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, counting once it is told to.
///
/// Counting costs an atomic addition per call, which would blur the workloads
/// that allocate; so it is off unless memory is what is measured.
#[derive(Debug)]
pub(crate) struct Counting;

/// Starts to count. Call it before anything of interest is allocated.
pub(crate) fn start_counting() {
    // Relaxed: the flag and the sum guard no other memory, and both are read
    // when the process is quiet.
    COUNTING.store(true, Ordering::Relaxed);
}

/// Bytes allocated and not freed since counting began.
pub(crate) fn allocated_bytes() -> i64 {
    BYTES.load(Ordering::Relaxed)
}

/// Resident set of this process in bytes, as the kernel says.
pub(crate) fn resident_bytes() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<i64>().ok());
    kib.unwrap_or_default() * 1024
}

fn count(bytes: i64) {
    if COUNTING.load(Ordering::Relaxed) {
        BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn size(layout: Layout) -> i64 {
    // No layout is larger than isize::MAX.
    layout.size() as i64
}

// SAFETY: every call is handed to the system's allocator unchanged; the counter
// beside it touches no allocated memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size as i64 - size(layout));
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::{allocated_bytes, resident_bytes, start_counting};

    #[test]
    fn counts_what_is_held() {
        start_counting();
        let before = allocated_bytes();
        let block = black_box(vec![1u8; 256 << 20]);
        let held = allocated_bytes() - before;
        assert!(held >= 200 << 20, "{held}");
        assert!(resident_bytes() >= 200 << 20);
        drop(block);
        // Other tests allocate at the same time, but not by hundreds of megabytes.
        assert!(allocated_bytes() - before < 100 << 20);
    }
}
