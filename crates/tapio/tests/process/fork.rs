//! A child by `fork` leaves its parent's runtime alone, is told so when it uses
//! it, and has a working one when it builds its own.

#![expect(unsafe_code, reason = "`fork`")]

use std::future::Future;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};
use std::time::Duration;

use futures::FutureExt;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream};
use tapio::runtime::{Handle, Runtime};
use tapio::signal::unix::{SignalKind, signal};
use tapio::task::JoinHandle;
use tapio::time::{Sleep, sleep};

use crate::child::in_child;
use crate::rig::{Kind, LOCAL, assert_works};

/// A child that takes longer is ended, by `SIGALRM`, and fails its test.
const PATIENCE_SECONDS: u32 = 60;
const FORKS: usize = 50;

/// A child, as its parent sees it.
struct Child {
    pid: Pid,
    /// What it prints to standard error.
    output: OwnedFd,
}

/// Forks. `None` in the child, whose standard error the parent reads.
fn fork() -> Option<Child> {
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
fn fork_and_run(body: impl FnOnce()) -> Child {
    if let Some(child) = fork() {
        return child;
    }
    let code = i32::from(catch_unwind(AssertUnwindSafe(body)).is_err());
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

impl Child {
    /// How it ended, and what it said.
    fn wait(self) -> (WaitStatus, String) {
        let mut text = String::new();
        let mut output = std::fs::File::from(self.output);
        output.read_to_string(&mut text).expect("a pipe");
        let ended = rustix::process::waitpid(Some(self.pid), WaitOptions::empty());
        let (_, status) = ended.expect("it is ours").expect("it has ended");
        (status, text)
    }

    fn must_succeed(self) {
        let (status, text) = self.wait();
        assert_eq!(status.exit_status(), Some(0), "{status:?}: {text}");
    }

    fn must_abort(self) {
        let (status, text) = self.wait();
        let signal = status.terminating_signal();
        assert_eq!(signal, Some(libc::SIGABRT), "{status:?}: {text}");
        let is_clear = text.contains("cannot go on") && text.contains(WORDS);
        assert!(is_clear && !text.contains(TWICE), "{text}");
    }
}

/// What every refusal says.
const WORDS: &str = "this runtime belongs to the parent process";

/// `f` panics, and says why.
fn must_refuse<R>(what: &str, f: impl FnOnce() -> R) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("{what}: not refused");
    };
    let message = payload.downcast_ref::<String>().cloned();
    let message = message.unwrap_or_else(|| "no text".into());
    assert!(message.contains(WORDS), "{what}: {message}");
}

/// What a child inherits.
struct Inherited {
    stream: TcpStream,
    /// In a wheel of the parent's.
    timer: Pin<Box<Sleep>>,
    task: JoinHandle<()>,
    call: JoinHandle<()>,
    /// Whether the call is to return.
    is_over: Arc<AtomicBool>,
}

/// Refuses a child what is the parent's, with words, and lets it go.
fn assert_refused(handle: &Handle, inherited: &mut Inherited) {
    must_refuse("spawn", || handle.spawn(async {}));
    must_refuse("spawn_blocking", || handle.spawn_blocking(|| ()));
    must_refuse("block_on", || handle.block_on(async {}));
    must_refuse("enter", || handle.enter());
    let mut cx = Context::from_waker(Waker::noop());
    let timer = &mut inherited.timer;
    must_refuse("a timer", || timer.as_mut().poll(&mut cx));
    let mut byte = [0];
    let read = inherited.stream.read(&mut byte).now_or_never();
    let error = read.expect("an answer").expect_err("nobody watches it");
    assert!(error.to_string().contains(WORDS), "a stream: {error}");
    let ready = inherited.stream.readable().now_or_never();
    let error = ready.expect("an answer").expect_err("nobody watches it");
    assert!(error.to_string().contains(WORDS), "readable: {error}");
    for handle in [&mut inherited.task, &mut inherited.call] {
        let joined = handle.now_or_never().expect("an answer");
        assert!(joined.expect_err("the parent's").is_cancelled());
        handle.abort();
    }
    let metrics = handle.metrics();
    assert_eq!((metrics.num_alive_tasks(), metrics.num_watches()), (0, 0));
    assert_eq!(metrics.num_blocking_threads(), 0);
}

/// All that a runtime has threads, locks and descriptors for.
fn assert_all_works(kind: Kind, with_guard: bool) {
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

/// Work for all threads of a parent, until `stop`.
fn keep_busy(runtime: &Runtime, stop: &Arc<AtomicBool>) {
    let lock = Arc::new(tapio::sync::Mutex::new(0));
    for index in 0..8 {
        let (stop, lock) = (Arc::clone(stop), Arc::clone(&lock));
        runtime.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let _ = tapio::task::spawn_blocking(|| ()).await;
                let _ = tapio::cpu::spawn(|| ()).await;
                sleep(Duration::from_micros(100)).await;
                let mut held = lock.lock().await;
                *held += 1;
                tapio::task::yield_now().await;
                drop(held);
                let (mut near, mut far) = tapio::net::UnixStream::pair().expect("a pair");
                near.write_all(b"x").await.expect("open");
                far.read_exact(&mut [0]).await.expect("open");
                if index == 0 {
                    // A stall, which the guard reports.
                    std::thread::sleep(Duration::from_millis(15));
                }
            }
        });
    }
}

/// A stream on which a task waits, and what its other end is good for.
async fn echo_on_a_task() -> TcpStream {
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

async fn inherit() -> Inherited {
    let stream = echo_on_a_task().await;
    let mut timer = Box::pin(sleep(Duration::from_secs(3_600)));
    assert!(futures::poll!(timer.as_mut()).is_pending());
    // Watched from now on.
    assert!(stream.readable().now_or_never().is_none());
    let is_over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_over);
    Inherited {
        stream,
        timer,
        task: tapio::spawn(std::future::pending()),
        call: tapio::task::spawn_blocking(move || {
            while !seen.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }),
        is_over,
    }
}

/// All that a parent's thread may do when it forks.
async fn fork_from(place: usize, body: impl FnOnce() + Send + 'static) -> Child {
    match place % 4 {
        0 => tapio::spawn(async { fork_and_run(body) })
            .await
            .expect("a child"),
        1 => tapio::task::spawn_blocking(|| fork_and_run(body))
            .await
            .expect("a child"),
        2 => tapio::cpu::spawn(|| fork_and_run(body))
            .await
            .expect("a child"),
        _ => fork_and_run(body),
    }
}

/// What the parent has goes on as ever.
async fn assert_unharmed(mut inherited: Inherited) {
    let (mut read, mut write) = inherited.stream.split();
    let mut byte = [0];
    let both = async {
        // The read begins, and waits, before there is anything to read.
        let (read, written) = futures::join!(read.read_exact(&mut byte), write.write_all(b"y"));
        read.and(written.map(|()| 1)).expect("an echo");
    };
    let echoed = tapio::time::timeout(Duration::from_secs(30), both).await;
    echoed.expect("the parent's streams are watched still");
    inherited.timer.as_mut().reset(tapio::time::Instant::now());
    inherited.timer.await;
    assert!(!inherited.task.is_finished());
    inherited.is_over.store(true, Ordering::Relaxed);
    inherited.call.await.expect("it ends when it may");
}

#[test]
fn a_child_is_refused_its_parents_runtime_and_gets_its_own() {
    in_child(
        "fork::a_child_is_refused_its_parents_runtime_and_gets_its_own",
        || {
            let kinds = Kind::all();
            for kind in kinds.iter().filter(|kind| kind.workers.is_some()) {
                let runtime = Arc::new(kind.builder().worker_threads(4).build().expect("one"));
                let stop = Arc::new(AtomicBool::new(false));
                keep_busy(&runtime, &stop);
                let mut listener = runtime
                    .block_on(async { signal(SignalKind::user_defined1()).expect("a listener") });
                for round in 0..FORKS {
                    let handle = runtime.handle().clone();
                    let mine = Arc::new(Mutex::new(Some(runtime.block_on(inherit()))));
                    let theirs = Arc::clone(&mine);
                    // The child's is of either flavour.
                    let childs = kinds[round % kinds.len()];
                    let child = runtime.block_on(fork_from(round, move || {
                        let mut inherited = theirs.lock().expect("nobody else's").take();
                        assert_refused(&handle, inherited.as_mut().expect("put there"));
                        drop(inherited);
                        assert_all_works(childs, round % 10 == 0);
                    }));
                    child.must_succeed();
                    let inherited = mine.lock().expect("nobody else's").take();
                    runtime.block_on(assert_unharmed(inherited.expect("the child has a copy")));
                }
                // The children have sent themselves that signal.
                assert!(listener.recv().now_or_never().is_none());
                let number = Signal::USR1;
                rustix::process::kill_process(rustix::process::getpid(), number).expect("myself");
                runtime.block_on(listener.recv()).expect("it arrives");
                stop.store(true, Ordering::Relaxed);
                assert_works(&runtime);
            }
        },
    );
}

const TWICE: &str = "a child runs its parent's tasks";

/// Work that is the parent's, and would be done twice by a child.
async fn only_in(process: u32) {
    if std::process::id() != process {
        eprintln!("{TWICE}");
    }
}

#[test]
fn a_child_that_comes_back_to_its_parents_threads_ends_with_words() {
    in_child(
        "fork::a_child_that_comes_back_to_its_parents_threads_ends_with_words",
        || {
            let me = std::process::id();
            for kind in Kind::all() {
                let runtime = kind.build();
                let (sender, children) = mpsc::channel();
                let (from_call, from_job) = (sender.clone(), sender.clone());
                let workers = kind.workers.is_some();
                if workers {
                    runtime.spawn(async move {
                        // The next for this worker.
                        tapio::spawn(only_in(me));
                        fork_to(&sender);
                    });
                } else {
                    drop(sender);
                }
                runtime.spawn_blocking(move || fork_to(&from_call));
                runtime.block_on(async {
                    let job = tapio::cpu::spawn(move || fork_to(&from_job));
                    job.await.expect("it returns");
                });
                let mut count = 0;
                for child in children {
                    child.must_abort();
                    count += 1;
                }
                assert_eq!(count, if workers { 3 } else { 2 }, "{kind}");
            }
        },
    );
}

fn fork_to(parent: &mpsc::Sender<Child>) {
    if let Some(child) = fork() {
        parent.send(child).expect("the test waits");
    }
}

/// `run` forks, and panics in the child, where nothing of the parent's runs.
fn assert_panics_in_child(what: &str, run: impl FnOnce(mpsc::Sender<Child>)) {
    let me = std::process::id();
    let (sender, children) = mpsc::channel();
    let outcome = catch_unwind(AssertUnwindSafe(|| run(sender)));
    if std::process::id() == me {
        outcome.expect("nothing happens to the parent");
        let (status, text) = children.recv().expect("it has forked").wait();
        assert_eq!(status.exit_status(), Some(0), "{what}: {text}");
        assert!(!text.contains(TWICE), "{what}: {text}");
        return;
    }
    let checked = catch_unwind(AssertUnwindSafe(|| {
        must_refuse(what, || {
            if let Err(payload) = outcome {
                std::panic::resume_unwind(payload);
            }
        });
        assert_all_works(Kind::all()[0], false);
    }));
    // SAFETY: ends the process.
    unsafe { libc::_exit(checked.is_err().into()) }
}

#[test]
fn a_child_that_comes_back_to_block_on_gets_a_panic() {
    in_child(
        "fork::a_child_that_comes_back_to_block_on_gets_a_panic",
        || {
            let me = std::process::id();
            for kind in Kind::all() {
                let runtime = kind.build();
                assert_panics_in_child(&format!("the future, {kind}"), |sender| {
                    runtime.block_on(async {
                        fork_to(&sender);
                        tapio::task::yield_now().await;
                    });
                });
                let set = tapio::task::LocalSet::new();
                assert_panics_in_child(&format!("a local task, {kind}"), |sender| {
                    set.block_on(&runtime, async {
                        let task = tapio::task::spawn_local(async move {
                            tapio::task::spawn_local(only_in(me));
                            fork_to(&sender);
                        });
                        task.await.expect("it ends");
                    });
                });
                if kind.workers.is_none() {
                    assert_panics_in_child(&format!("a task, {kind}"), |sender| {
                        runtime.block_on(async {
                            let task = tapio::spawn(async move {
                                tapio::spawn(only_in(me));
                                fork_to(&sender);
                            });
                            task.await.expect("it ends");
                        });
                    });
                }
                assert_works(&runtime);
            }
        },
    );
}

#[test]
fn a_child_may_leave_block_on_and_has_children_of_its_own() {
    in_child(
        "fork::a_child_may_leave_block_on_and_has_children_of_its_own",
        || {
            for kind in Kind::all() {
                let runtime = kind.build();
                let mut stream = runtime.block_on(echo_on_a_task());
                let child = runtime.block_on(async { fork() });
                let Some(child) = child else {
                    // SAFETY: ends the process.
                    unsafe { libc::_exit(live_and_fork(kind, runtime, stream).into()) }
                };
                child.must_succeed();
                runtime.block_on(async {
                    stream.write_all(b"z").await.expect("a connection");
                    stream.read_exact(&mut [0]).await.expect("an echo");
                });
            }
        },
    );
}

/// Lets go of all that is the parent's, and is a parent. Returns whether
/// something went wrong.
fn live_and_fork(kind: Kind, parents: Runtime, stream: TcpStream) -> bool {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        must_refuse("block_on", || parents.block_on(async {}));
        drop(stream);
        drop(parents);
        let runtime = kind.build();
        let child = runtime.block_on(async {
            fork_and_run(|| {
                must_refuse("current", Handle::current);
                assert_all_works(kind, false);
            })
        });
        child.must_succeed();
        assert_works(&runtime);
    }));
    lived.is_err()
}
