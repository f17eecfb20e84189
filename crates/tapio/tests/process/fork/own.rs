//! A child builds a runtime of its own, and its parent goes on unharmed.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use futures::FutureExt;
use rustix::process::Signal;
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::TcpStream;
use tapio::runtime::{Handle, Runtime};
use tapio::signal::unix::{SignalKind, signal};
use tapio::task::JoinHandle;
use tapio::time::{Sleep, sleep};

use super::rig::{Child, WORDS, assert_all_works, echo_on_a_task, fork, fork_and_run, must_refuse};
use crate::child::in_child;
use crate::rig::{Kind, assert_works};

const FORKS: usize = 50;

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
        "fork::own::a_child_is_refused_its_parents_runtime_and_gets_its_own",
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

#[test]
fn a_child_may_leave_block_on_and_has_children_of_its_own() {
    in_child(
        "fork::own::a_child_may_leave_block_on_and_has_children_of_its_own",
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
