//! A stuck task keeps nobody but itself.
//!
//! The tasks here are stuck until somebody else on the same worker has done
//! something: without rescue these tests would hang, not fail by a moment.

use std::future::poll_fn;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream};
use tapio::runtime::Runtime;
use tapio::{task, time};

use crate::support::{Kind, until};

/// Runtimes that rescue: all, with `current_thread` having asked for it.
fn runtimes() -> impl Iterator<Item = (Kind, Runtime)> {
    Kind::all().into_iter().map(|kind| {
        let mut builder = kind.builder();
        let built = builder.enable_all().rescue(true).build();
        (
            kind,
            built.unwrap_or_else(|error| panic!("{kind}: {error}")),
        )
    })
}

/// A way to be stuck until `done` is set, on a thread that must not be.
type Stuck = fn(Arc<Gate>);

/// What stuck code waits for.
#[derive(Default)]
struct Gate {
    is_open: AtomicBool,
    lock: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn open(&self) {
        self.is_open.store(true, Ordering::Release);
        *self.lock.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }
}

fn spins(gate: Arc<Gate>) {
    while !gate.is_open() {
        std::hint::spin_loop();
    }
}

fn sleeps(gate: Arc<Gate>) {
    while !gate.is_open() {
        // Longer than any budget, or the guard would see many short waits.
        thread::sleep(Duration::from_millis(60));
    }
}

fn waits_for_a_condition(gate: Arc<Gate>) {
    let mut is_open = gate.lock.lock().unwrap();
    while !*is_open {
        is_open = gate.changed.wait(is_open).unwrap();
    }
}

fn reads_a_pipe(gate: Arc<Gate>) {
    let (mut near, far) = StdStream::pair().unwrap();
    let opener = thread::spawn(move || {
        let mut is_open = gate.lock.lock().unwrap();
        while !*is_open {
            is_open = gate.changed.wait(is_open).unwrap();
        }
        drop(far);
    });
    assert_eq!(near.read(&mut [0; 1]).unwrap(), 0);
    opener.join().unwrap();
}

fn wants_a_lock_held_elsewhere(gate: Arc<Gate>) {
    let lock = Arc::new(Mutex::new(()));
    let (held, has_it) = mpsc::channel();
    let holder = thread::spawn({
        let lock = Arc::clone(&lock);
        move || {
            let _guard = lock.lock().unwrap();
            held.send(()).unwrap();
            waits_for_a_condition(gate);
        }
    });
    has_it.recv().unwrap();
    drop(lock.lock().unwrap());
    holder.join().unwrap();
}

const WAYS: [(&str, Stuck); 5] = [
    ("spins", spins),
    ("sleeps", sleeps),
    ("waits for a condition", waits_for_a_condition),
    ("reads a pipe", reads_a_pipe),
    ("wants a lock", wants_a_lock_held_elsewhere),
];

/// What a program does, each of which must go on: timers, sockets, accept
/// loops, blocking calls, wakes from other threads, tasks that queue tasks.
async fn a_bit_of_everything() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tapio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
    server.await.unwrap();

    time::sleep(Duration::from_millis(2)).await;
    assert_eq!(task::spawn_blocking(|| 7).await.unwrap(), 7);
    let (sender, receiver) = tapio::sync::oneshot::channel();
    let remote = thread::spawn(move || sender.send(9).unwrap());
    assert_eq!(receiver.await.unwrap(), 9);
    remote.join().unwrap();
    for _ in 0..100 {
        task::yield_now().await;
    }
}

#[test]
fn everything_else_goes_on_however_a_task_is_stuck() {
    for (kind, runtime) in runtimes() {
        for (name, stuck) in WAYS {
            let gate = Arc::new(Gate::default());
            let handles: Vec<_> = (0..kind.workers.unwrap_or(1))
                .map(|_| {
                    let gate = Arc::clone(&gate);
                    runtime.spawn(async move { stuck(gate) })
                })
                .collect();
            // On a thread of its own: on `current_thread` the one that blocks
            // on the runtime is the one that is stuck.
            let (all, opened) = (runtime.handle().clone(), Arc::clone(&gate));
            let other = all.spawn(async move {
                a_bit_of_everything().await;
                opened.open();
            });
            runtime.block_on(async {
                for handle in handles {
                    handle
                        .await
                        .unwrap_or_else(|error| panic!("{kind}, {name}: {error}"));
                }
                other
                    .await
                    .unwrap_or_else(|error| panic!("{kind}, {name}: {error}"));
            });
        }
        let metrics = runtime.metrics();
        let least = WAYS.len() as u64;
        assert!(metrics.num_rescues() >= least, "{kind}: {metrics:?}");
        // Whoever was relieved has work and a place again.
        runtime.block_on(async { tapio::spawn(a_bit_of_everything()).await.unwrap() });
        runtime.block_on(until(|| metrics.num_alive_tasks() == 0));
    }
}

#[test]
fn what_a_stuck_task_had_queued_goes_on_and_so_does_the_lifo_slot() {
    for (kind, runtime) in runtimes() {
        let gate = Arc::new(Gate::default());
        let ran = Arc::new(AtomicUsize::new(0));
        const QUEUED: usize = 100;
        let (stuck, count) = (Arc::clone(&gate), Arc::clone(&ran));
        let root = runtime.spawn(async move {
            let tasks: Vec<_> = (0..QUEUED)
                .map(|_| {
                    let (gate, count) = (Arc::clone(&stuck), Arc::clone(&count));
                    tapio::spawn(async move {
                        if count.fetch_add(1, Ordering::AcqRel) + 1 == QUEUED {
                            gate.open();
                        }
                    })
                })
                .collect();
            // The last one spawned is in the LIFO slot, the others queued.
            spins(stuck);
            for task in tasks {
                task.await.unwrap();
            }
        });
        runtime.block_on(root).unwrap();
        assert_eq!(ran.load(Ordering::Acquire), QUEUED, "{kind}");
    }
}

#[test]
fn what_a_stuck_task_queues_while_it_is_relieved_goes_on() {
    for (kind, runtime) in runtimes() {
        let root = runtime.spawn(async move {
            // Each round is stuck, and only a task that it spawns in the
            // midst of that lets it go on.
            for _ in 0..5 {
                let gate = Arc::new(Gate::default());
                let opener = Arc::clone(&gate);
                let spawned = tapio::spawn(async move { opener.open() });
                spins(gate);
                spawned.await.unwrap();
                let gate = Arc::new(Gate::default());
                let opener = Arc::clone(&gate);
                thread::sleep(Duration::from_millis(30));
                // By now the thread has been relieved.
                let spawned = tapio::spawn(async move {
                    time::sleep(Duration::from_millis(1)).await;
                    opener.open();
                });
                spins(gate);
                spawned.await.unwrap();
            }
        });
        runtime
            .block_on(root)
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

#[test]
fn a_timer_or_socket_that_a_stuck_task_sets_is_served_by_whoever_took_over() {
    for (kind, runtime) in runtimes() {
        let root = runtime.spawn(async move {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            for _ in 0..3 {
                // Relieved while it runs, then waits for a timer and a
                // socket that it makes afterwards.
                thread::sleep(Duration::from_millis(30));
                let begin = time::Instant::now();
                time::sleep(Duration::from_millis(5)).await;
                assert!(begin.elapsed() >= Duration::from_millis(5));
                thread::sleep(Duration::from_millis(30));
                let client = thread::spawn(move || {
                    let mut stream = std::net::TcpStream::connect(address).unwrap();
                    std::io::Write::write_all(&mut stream, b"x").unwrap();
                    stream
                });
                let (mut stream, _) = listener.accept().await.unwrap();
                assert_eq!(stream.read_u8().await.unwrap(), b'x');
                drop(client.join().unwrap());
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            }
        });
        runtime
            .block_on(root)
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        let metrics = runtime.metrics();
        // Whoever holds a seat now ends what the stuck thread asked for.
        runtime.block_on(until(|| metrics.num_timers() + metrics.num_watches() == 0));
    }
}

/// Two tasks that hand a number back and forth, woken by one another, while
/// their worker is relieved again and again: each step once and in order.
#[test]
fn nothing_is_lost_run_twice_or_out_of_order() {
    for (kind, runtime) in runtimes() {
        let (to, mut from) = tapio::sync::mpsc::channel::<u32>(1);
        let (back, mut seen) = tapio::sync::mpsc::channel::<u32>(1);
        let echo = runtime.spawn(async move {
            let mut expected = 0;
            while let Some(number) = from.recv().await {
                assert_eq!(number, expected);
                expected += 1;
                if number % 7 == 3 {
                    thread::sleep(Duration::from_millis(15));
                }
                back.send(number).await.unwrap();
            }
            expected
        });
        let driver = runtime.spawn(async move {
            for number in 0..50 {
                to.send(number).await.unwrap();
                assert_eq!(seen.recv().await, Some(number));
                if number % 11 == 5 {
                    thread::sleep(Duration::from_millis(15));
                }
            }
        });
        runtime.block_on(async {
            driver
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert_eq!(echo.await.unwrap(), 50, "{kind}");
        });
    }
}

#[test]
fn the_drop_of_a_future_may_be_stuck() {
    struct StuckWhenDropped(Arc<Gate>);
    impl Drop for StuckWhenDropped {
        fn drop(&mut self) {
            spins(Arc::clone(&self.0));
        }
    }
    for (kind, runtime) in runtimes() {
        let gate = Arc::new(Gate::default());
        let held = StuckWhenDropped(Arc::clone(&gate));
        let aborted = runtime.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        let held = StuckWhenDropped(Arc::clone(&gate));
        let finished = runtime.spawn(async move {
            let _held = held;
            task::yield_now().await;
        });
        let opener = runtime.spawn(async move {
            task::yield_now().await;
            aborted.abort();
            a_bit_of_everything().await;
            gate.open();
            assert!(aborted.await.unwrap_err().is_cancelled());
        });
        runtime.block_on(async {
            opener
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            finished.await.unwrap();
        });
    }
}

/// A waker that blocks whoever wakes it.
struct StuckWaker(Arc<Gate>, Waker);

impl Wake for StuckWaker {
    fn wake(self: Arc<Self>) {
        spins(Arc::clone(&self.0));
        self.1.wake_by_ref();
    }
}

#[test]
fn a_waker_may_be_stuck_and_those_woken_with_it_are_not() {
    for (kind, runtime) in runtimes() {
        let gate = Arc::new(Gate::default());
        let deadline = time::Instant::now() + Duration::from_millis(20);
        let stuck = Arc::clone(&gate);
        let with_waker = runtime.spawn(async move {
            let mut sleep = Box::pin(time::sleep_until(deadline));
            poll_fn(move |cx| {
                let waker = StuckWaker(Arc::clone(&stuck), cx.waker().clone());
                let waker = Waker::from(Arc::new(waker));
                sleep.as_mut().poll(&mut Context::from_waker(&waker))
            })
            .await;
        });
        // Due at the same moment, so woken in the same batch.
        let others: Vec<_> = (0..10)
            .map(|_| runtime.spawn(async move { time::sleep_until(deadline).await }))
            .collect();
        let opener = runtime.spawn(async move {
            for other in others {
                other.await.unwrap();
            }
            a_bit_of_everything().await;
            gate.open();
        });
        runtime.block_on(async {
            opener
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            with_waker.await.unwrap();
        });
    }
}

fn stuck_are_rescued_one_and_all(count: usize, stuck: Stuck) {
    for (kind, runtime) in runtimes() {
        let gate = Arc::new(Gate::default());
        let all_are = Arc::new(AtomicUsize::new(0));
        let handles: Vec<_> = (0..count)
            .map(|_| {
                let (gate, all_are) = (Arc::clone(&gate), Arc::clone(&all_are));
                runtime.spawn(async move {
                    all_are.fetch_add(1, Ordering::AcqRel);
                    stuck(gate);
                })
            })
            .collect();
        let opener = runtime.spawn(async move {
            while all_are.load(Ordering::Acquire) < count {
                time::sleep(Duration::from_millis(1)).await;
            }
            a_bit_of_everything().await;
            gate.open();
        });
        runtime.block_on(async {
            opener
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            for handle in handles {
                handle.await.unwrap();
            }
        });
    }
}

#[test]
fn more_tasks_may_be_stuck_than_there_are_workers() {
    stuck_are_rescued_one_and_all(40, waits_for_a_condition);
}

#[test]
fn tasks_that_share_few_cpus_are_stuck_all_the_same() {
    // Each of them has a small part of a CPU.
    stuck_are_rescued_one_and_all(16, spins);
}

#[test]
fn a_runtime_ends_while_its_tasks_are_stuck() {
    for kind in Kind::all() {
        if kind.workers.is_none() {
            // Its thread is the one that would end it.
            continue;
        }
        // More than stand by.
        let workers = 8;
        let runtime = kind.builder().worker_threads(workers).build().unwrap();
        let gate = Arc::new(Gate::default());
        let stuck = Arc::new(Barrier::new(workers + 1));
        for _ in 0..workers {
            let (gate, stuck) = (Arc::clone(&gate), Arc::clone(&stuck));
            drop(runtime.spawn(async move {
                stuck.wait();
                waits_for_a_condition(gate);
            }));
        }
        let dropped = Arc::new(AtomicBool::new(false));
        struct SetWhenDropped(Arc<AtomicBool>);
        impl Drop for SetWhenDropped {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let held = SetWhenDropped(Arc::clone(&dropped));
        drop(runtime.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        }));
        stuck.wait();
        // The other tasks end though no worker is free to end them.
        let ending = thread::spawn(move || drop(runtime));
        while !dropped.load(Ordering::Acquire) {
            thread::yield_now();
        }
        assert!(!ending.is_finished(), "{kind}: it waits for what is stuck");
        gate.open();
        ending.join().unwrap();
    }
}

#[test]
fn a_nested_runtime_is_watched_by_itself() {
    for (kind, runtime) in runtimes() {
        if kind.workers.is_none() {
            continue;
        }
        let root = runtime.spawn(async move {
            task::block_in_place(move || {
                let inner = kind.builder().enable_all().build().unwrap();
                let gate = Arc::new(Gate::default());
                let stuck = Arc::clone(&gate);
                let task = inner.spawn(async move { spins(stuck) });
                inner.block_on(async move {
                    tapio::spawn(async move {
                        a_bit_of_everything().await;
                        gate.open();
                    })
                    .await
                    .unwrap();
                    task.await.unwrap();
                });
                if kind.workers == Some(1) {
                    assert!(inner.metrics().num_rescues() > 0, "{kind}");
                }
            });
        });
        runtime
            .block_on(root)
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(runtime.metrics().num_stalls(), 0, "{kind}: by choice");
    }
}
