//! Children, and what they are asked.

use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream};
use tapio::signal::unix::{SignalKind, signal};

use crate::rig::{Kind, LOCAL, assert_works};

/// A child that takes longer is ended, by `SIGALRM`, and fails its test.
const PATIENCE_SECONDS: u32 = 60;

/// A child, as its parent sees it.
pub(super) struct Child {
    pid: Pid,
    /// What it prints to standard error.
    output: OwnedFd,
}

/// Forks. `None` in the child, whose standard error the parent reads.
pub(super) fn fork() -> Option<Child> {
    let (output, input) = rustix::pipe::pipe().expect("a pipe");
    // SAFETY: the child calls what a program may call after `fork` as far as
    // the C library allows it at all: the allocator, and what is tested here.
    match unsafe { libc::fork() } {
        -1 => panic!("no fork: {}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: system calls on descriptors of our own, and a timer.
            unsafe {
                libc::alarm(PATIENCE_SECONDS);
                assert_eq!(libc::dup2(input.as_raw_fd(), 2), 2);
            }
            None
        }
        pid => Some(Child {
            pid: Pid::from_raw(pid).expect("a child has a number"),
            output,
        }),
    }
}

/// Runs `body` in a child, and ends that without a destructor of its parent's.
pub(super) fn fork_and_run(body: impl FnOnce()) -> Child {
    if let Some(child) = fork() {
        return child;
    }
    let code = i32::from(catch_unwind(AssertUnwindSafe(body)).is_err());
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

impl Child {
    /// How it ended, and what it said.
    pub(super) fn wait(self) -> (WaitStatus, String) {
        let mut text = String::new();
        let mut output = std::fs::File::from(self.output);
        output.read_to_string(&mut text).expect("a pipe");
        let ended = rustix::process::waitpid(Some(self.pid), WaitOptions::empty());
        let (_, status) = ended.expect("it is ours").expect("it has ended");
        (status, text)
    }

    pub(super) fn must_succeed(self) {
        let (status, text) = self.wait();
        assert_eq!(status.exit_status(), Some(0), "{status:?}: {text}");
    }

    pub(super) fn must_abort(self) {
        let (status, text) = self.wait();
        let signal = status.terminating_signal();
        assert_eq!(signal, Some(libc::SIGABRT), "{status:?}: {text}");
        let is_clear = text.contains("cannot go on") && text.contains(WORDS);
        assert!(is_clear && !text.contains(TWICE), "{text}");
    }
}

/// What every refusal says.
pub(super) const WORDS: &str = "this runtime belongs to the parent process";

/// What a child says that does not leave the parent's work alone.
pub(super) const TWICE: &str = "a child runs its parent's tasks";

/// `f` panics, and says why.
pub(super) fn must_refuse<R>(what: &str, f: impl FnOnce() -> R) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("{what}: not refused");
    };
    let message = payload.downcast_ref::<String>().cloned();
    let message = message.unwrap_or_else(|| "no text".into());
    assert!(message.contains(WORDS), "{what}: {message}");
}

/// All that a runtime has threads, locks and descriptors for.
pub(super) fn assert_all_works(kind: Kind, with_guard: bool) {
    let (sender, reports) = mpsc::channel();
    let _subscription = tapio::guard::on_report(move |report| {
        if let tapio::guard::Report::Stall(_) = report {
            let _ = sender.send(());
        }
    });
    let runtime = kind.build();
    assert_works(&runtime);
    runtime.block_on(async {
        let call = tapio::task::spawn_blocking(|| 7).await;
        assert_eq!(call.expect("it returns"), 7);
        let computed = tapio::cpu::spawn(|| 8).await;
        assert_eq!(computed.expect("it returns"), 8);
        // One that the parent listens for as well, and one of the child's own.
        for kind in [SignalKind::user_defined1(), SignalKind::user_defined2()] {
            let mut listener = signal(kind).expect("a listener");
            let number = Signal::from_named_raw(kind.as_raw_value()).expect("a signal");
            rustix::process::kill_process(rustix::process::getpid(), number).expect("myself");
            listener.recv().await.expect("it arrives");
        }
        // Somebody waits for a lock.
        let lock = Arc::new(tapio::sync::Mutex::new(()));
        let held = lock.lock().await;
        let waiting = Arc::clone(&lock);
        let waits = tapio::spawn(async move { drop(waiting.lock().await) });
        tapio::task::yield_now().await;
        drop(held);
        waits.await.expect("it gets it");
        if with_guard {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    if with_guard {
        let told = reports.recv_timeout(Duration::from_secs(30));
        told.expect("the guard of the child reports a stall");
    }
}

/// A stream on which a task waits, and what its other end is good for.
pub(super) async fn echo_on_a_task() -> TcpStream {
    let listener = TcpListener::bind(LOCAL).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let stream = TcpStream::connect(address).await.expect("a listener");
    let (mut accepted, _) = listener.accept().await.expect("a connection");
    tapio::spawn(async move {
        let mut byte = [0];
        while accepted.read_exact(&mut byte).await.is_ok() {
            accepted.write_all(&byte).await.expect("a connection");
        }
    });
    stream
}
