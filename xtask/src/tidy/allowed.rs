//! Exceptions, each with its reason. Lists only get shorter, or a reviewer
//! asks why.

/// Files longer than [`LINES_MAX`](super::source::LINES_MAX) code lines, with
/// the length they may not grow beyond.
pub(crate) const LONG_FILES: &[(&str, usize, &str)] = &[];

/// What only `tapio-driver` and its contract may do, so that a simulated world
/// can own it one day.
pub(crate) const KERNEL_CALLS: &[KernelCall] = &[
    KernelCall {
        what: "reads a clock",
        patterns: &["Instant::now", "SystemTime::now"],
        allowed: &[
            (
                "crates/tapio/src/time/",
                "`time::Instant::now` is the one door to the clock, and the rest of `time` goes through it",
            ),
            ("crates/tapio/src/task/group/", "through `time::Instant`"),
            (
                "crates/tapio-http/src/rt/timer.rs",
                "through `tapio::time::Instant`",
            ),
            (
                "crates/tapio/src/blocking/pool.rs",
                "how long a real thread idles is real time in any world",
            ),
            (
                "crates/tapio/src/scheduler/vacant.rs",
                "how long a real thread idles is real time in any world",
            ),
            (
                "crates/tapio/src/signal/registry.rs",
                "signals come from the real system",
            ),
            (
                "crates/tapio/src/guard/",
                "how long a real thread is stuck is real time in any world",
            ),
            (
                "crates/tapio/src/capture/",
                "how long to wait for a real thread is real time in any world",
            ),
            (
                "crates/tapio/src/sync/",
                "how long somebody waits for a lock is asked with and without a runtime",
            ),
        ],
    },
    KernelCall {
        what: "makes a system call of its own",
        patterns: &["libc::", "rustix::"],
        allowed: &[
            (
                "crates/tapio/src/net/",
                "readiness comes from the driver; the call that follows goes into the caller's buffer",
            ),
            (
                "crates/tapio/src/io/standard.rs",
                "the standard streams are the real system's, and are served by blocking threads",
            ),
            (
                "crates/tapio-http/src/serve/unsent.rs",
                "asks what is in a socket's buffer, once in a span in which the peer does not read",
            ),
            (
                "crates/tapio/src/io/async_fd.rs",
                "names the error number of a descriptor that is registered twice",
            ),
            (
                "crates/tapio/src/signal/",
                "signals come from the real system, through a pipe of their own",
            ),
            (
                "crates/tapio/src/cpu/pool.rs",
                "real threads compute beside real workers, and are to be nicer than those",
            ),
            (
                "crates/tapio/src/capture/",
                "a stuck thread is a real thread, reached by a signal",
            ),
            (
                "crates/tapio/src/slice.rs",
                "asks the scheduler for something that no crate wraps",
            ),
            (
                "crates/tapio/src/stack/image.rs",
                "maps the program's real file, to name what the real program is in",
            ),
            (
                "crates/tapio/src/stack/memory.rs",
                "reads this process's own memory with the kernel's care",
            ),
            (
                "crates/tapio/src/thread_state.rs",
                "its tests name system calls by number",
            ),
        ],
    },
    KernelCall {
        what: "opens a socket",
        patterns: &[
            "net::TcpListener::bind",
            "net::TcpStream::connect",
            "net::UdpSocket::bind",
            "net::UnixListener::bind",
            "net::UnixStream::connect",
        ],
        allowed: &[],
    },
    KernelCall {
        what: "starts a thread",
        patterns: &["thread::spawn", "thread::Builder", "thread::scope"],
        allowed: &[(
            "crates/tapio/src/threads.rs",
            "the one function through which workers and blocking threads start",
        )],
    },
    KernelCall {
        what: "draws a random number",
        patterns: &["RandomState::new", "getrandom", "fastrand::"],
        allowed: &[],
    },
];

/// One thing that goes through the driver, and who else may do it.
#[derive(Debug)]
pub(crate) struct KernelCall {
    pub(crate) what: &'static str,
    pub(crate) patterns: &'static [&'static str],
    /// Path of a file, or of a folder with its `/`, and the reason.
    pub(crate) allowed: &'static [(&'static str, &'static str)],
}
