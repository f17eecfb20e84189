//! Tasks that are stuck with what everybody needs: the kernel's lock on the
//! memory map, the loader's, the allocator's. Whoever rescues the others must
//! not want it.

#![expect(unsafe_code, reason = "mapping memory and loading libraries")]

use std::ffi::CString;
use std::process::Command;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tapio::guard::{Report, on_report};

use crate::child::in_child;
use crate::hoard;
use crate::rig::{Kind, Ticker, build_rescuing, rescue_a_few_times, settle, wait_for};

/// How long a task is stuck at least, for a test to say anything.
const HELD_MIN: Duration = Duration::from_millis(250);
/// How long others may wait: some ten milliseconds on a machine that has
/// nothing else to do.
const GAP_MAX: Duration = Duration::from_millis(120);

/// Others go on while a task is stuck in `hold`, which keeps something from
/// everybody, and the stall is reported. It is the first that the runtime sees.
fn assert_others_go_on(hold: impl Fn() + Clone + Send + 'static) {
    let stalls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&stalls);
    on_report(move |report| {
        let is_ours = matches!(report, Report::Stall(stall)
            if stall.culprit.to_string().contains(file!()));
        counted.fetch_add(usize::from(is_ours), Ordering::Relaxed);
    })
    .keep();
    for kind in Kind::all() {
        let mut all = Vec::new();
        // A machine that is busy with something else is late now and then.
        while all.iter().all(|(worst, _)| *worst >= GAP_MAX) {
            assert!(all.len() < 3, "{kind}: gaps and stalls {all:?}");
            let runtime = build_rescuing(kind);
            let ticker = Ticker::start(&runtime);
            settle();
            let (timed, hold) = (ticker.clone(), hold.clone());
            let stuck = runtime.spawn(async move { timed.worst_during(hold) });
            let (worst, held) = runtime.block_on(stuck).expect("it does not panic");
            assert!(held >= HELD_MIN, "{kind}: stuck for {held:?} only");
            ticker.stop();
            wait_for("the stall is reported", || {
                stalls.load(Ordering::Relaxed) > 0
            });
            stalls.store(0, Ordering::Relaxed);
            all.push((worst, held));
        }
    }
}

/// So many bytes that it takes the kernel long to map them: all are the page of
/// zeroes, so they take no memory but for the tables.
fn bytes_to_map() -> usize {
    // SAFETY: changes how the kernel maps what this process asks for.
    let small = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    assert_eq!(small, 0, "small pages may be asked for");
    let mut bytes = 1 << 30;
    loop {
        let begin = Instant::now();
        map(bytes);
        if begin.elapsed() >= 2 * HELD_MIN {
            return bytes;
        }
        bytes *= 2;
    }
}

/// Maps so many bytes, again where that was shorter than it should.
fn map_for_long(bytes: usize) {
    let begin = Instant::now();
    while begin.elapsed() < HELD_MIN {
        map(bytes);
    }
}

/// Maps so many bytes at once, and unmaps them.
fn map(bytes: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE | libc::MAP_NORESERVE;
    // SAFETY: a mapping of its own, which nobody else knows of, and its end.
    unsafe {
        let area = libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ, flags, -1, 0);
        assert_ne!(
            area,
            libc::MAP_FAILED,
            "{}",
            std::io::Error::last_os_error()
        );
        libc::munmap(area, bytes);
    }
}

#[test]
fn the_memory_map() {
    in_child("held::the_memory_map", || {
        let bytes = bytes_to_map();
        assert_others_go_on(move || map_for_long(bytes));
    });
}

#[test]
fn the_memory_map_that_others_wait_for() {
    in_child("held::the_memory_map_that_others_wait_for", || {
        let bytes = bytes_to_map();
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        // It waits to change the map, and readers wait behind it.
        let waiting = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                map(1 << 12);
                thread::sleep(Duration::from_millis(1));
            }
        });
        assert_others_go_on(move || map_for_long(bytes));
        is_over.store(true, Ordering::Relaxed);
        waiting.join().expect("it does not panic");
    });
}

#[test]
fn the_loader() {
    let directory = tempfile::tempdir().expect("a directory");
    let (source, library) = (
        directory.path().join("slow.c"),
        directory.path().join("slow.so"),
    );
    let text = "#include <time.h>\n\
                __attribute__((constructor)) static void slow(void) {\n\
                    struct timespec left = { 0, 400000000 };\n\
                    while (nanosleep(&left, &left)) {}\n\
                }\n";
    std::fs::write(&source, text).expect("a file");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source);
    let status = compiler.status().expect("Rust links with it");
    assert!(status.success(), "{status}");
    in_child("held::the_loader", || {
        let path = CString::new(library.to_str().expect("text")).expect("no zeroes");
        assert_others_go_on(move || {
            // SAFETY: the library is the one above, which only sleeps.
            unsafe {
                let loaded = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
                assert!(!loaded.is_null(), "it was compiled");
                libc::dlclose(loaded);
            }
        });
    });
}

#[test]
fn the_allocator() {
    in_child("held::the_allocator", || {
        assert_others_go_on(|| hoard::keep(|| thread::sleep(HELD_MIN)));
    });
}

#[test]
fn the_guard_asks_nobody_for_memory() {
    in_child("held::the_guard_asks_nobody_for_memory", || {
        for kind in Kind::all() {
            let runtime = build_rescuing(kind);
            settle();
            let calls = hoard::calls_by_guard(|| rescue_a_few_times(&runtime));
            assert_eq!(calls, 0, "{kind}");
            assert!(runtime.metrics().num_rescues() >= 4, "{kind}");
        }
    });
}
