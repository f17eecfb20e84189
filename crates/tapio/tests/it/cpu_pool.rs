//! `cpu`: computation on threads of its own. The limit of its queue is tested
//! in a process of its own, `tests/process/cpu.rs`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tapio::cpu::{self, CpuHandle};
use tapio::runtime::Runtime;
use tapio::task::{self, TaskGroup};

use crate::support::{Kind, runtimes, until};

fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

#[test]
fn a_call_runs_on_its_threads_inside_of_its_runtime_and_gives_its_result() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let call = cpu::spawn(|| (thread_name(), task::id(), tapio::spawn(async { 5 })));
            let id = call.id();
            let (name, id_inside, spawned) = call.await.unwrap();
            assert!(name.starts_with("tapio-cpu-"), "{kind}: {name}");
            assert_eq!(id, id_inside, "{kind}");
            assert_eq!(spawned.await.unwrap(), 5, "{kind}");
        });
    }
    // Nor does it need a runtime.
    let (tell, told) = mpsc::channel();
    cpu::spawn(|| 6).on_complete(move |six| tell.send(six.unwrap()).unwrap());
    assert_eq!(told.recv(), Ok(6));
}

#[test]
fn a_panic_comes_out_and_the_thread_goes_on() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            for _ in 0..4 * cpu::metrics().threads.max(1) {
                let error = cpu::spawn(|| panic!("of the call")).await.unwrap_err();
                let payload = error.into_panic();
                assert_eq!(payload.downcast_ref(), Some(&"of the call"), "{kind}");
            }
            assert_eq!(cpu::spawn(|| 1).await.unwrap(), 1, "{kind}");
        });
    }
}

/// Keeps every thread of the pool busy until it is dropped. Tests that do so
/// take turns.
struct Busy {
    holds: Vec<CpuHandle<()>>,
    release: Arc<AtomicBool>,
    _turn: std::sync::MutexGuard<'static, ()>,
}

static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

impl Busy {
    fn new() -> Busy {
        let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let release = Arc::new(AtomicBool::new(false));
        let _ = cpu::join(|| (), || ());
        let begun = Arc::new(AtomicUsize::new(0));
        let threads = cpu::metrics().threads;
        let holds = (0..threads)
            .map(|_| {
                let (release, begun) = (Arc::clone(&release), Arc::clone(&begun));
                cpu::spawn(move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    while !release.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                })
            })
            .collect();
        while begun.load(Ordering::SeqCst) < threads {
            thread::yield_now();
        }
        Busy {
            holds,
            release,
            _turn: turn,
        }
    }

    async fn end(self) {
        self.release.store(true, Ordering::SeqCst);
        for hold in self.holds {
            hold.await.unwrap();
        }
    }
}

#[test]
fn a_call_that_has_not_begun_is_dropped_with_its_handle_and_never_runs() {
    for (kind, runtime) in runtimes() {
        let busy = Busy::new();
        let ran = Arc::new(AtomicBool::new(false));
        let call = || {
            let ran = Arc::clone(&ran);
            cpu::spawn(move || ran.store(true, Ordering::SeqCst))
        };
        let cancelled = cpu::metrics().cancelled;
        drop(call());
        assert_eq!(Arc::strong_count(&ran), 1, "{kind}: dropped here and now");
        let mut aborted = call();
        aborted.abort();
        assert!(aborted.is_finished(), "{kind}");
        assert!(cpu::metrics().cancelled >= cancelled + 2, "{kind}");
        runtime.block_on(async {
            assert!(aborted.await.unwrap_err().is_cancelled(), "{kind}");
            busy.end().await;
            // First come, first served: this one is behind those.
            cpu::spawn(|| ()).await.unwrap();
        });
        assert!(!ran.load(Ordering::SeqCst), "{kind}");
    }
}

#[test]
fn a_call_that_has_begun_goes_on_without_its_handle() {
    let (begin, begun) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let (end, ended) = mpsc::channel();
    let call = cpu::spawn(move || {
        begin.send(()).unwrap();
        let _ = gone.recv();
        end.send(()).unwrap();
    });
    begun.recv().unwrap();
    drop(call);
    drop(go);
    assert_eq!(ended.recv(), Ok(()));
}

/// Uses the pool for longer than the guard allows, on borrowed data. It sleeps
/// there: the guard needs a core to see what it is to see.
fn compute_for_long() {
    let mut parts = [0_u64; 2];
    cpu::scope(|scope| {
        for part in &mut parts {
            scope.spawn(move |_| {
                thread::sleep(Duration::from_millis(75));
                *part += 1;
            });
        }
    });
    let (a, b) = cpu::join(
        || {
            thread::sleep(Duration::from_millis(75));
            parts[0]
        },
        || parts[1],
    );
    assert_eq!(a + b, 2);
}

#[test]
fn borrowing_computation_keeps_no_worker_and_is_no_stall() {
    for kind in Kind::all()
        .into_iter()
        .filter(|kind| kind.workers.is_some())
    {
        // Not so short that a busy machine's scheduler is taken for a stall.
        let built = kind
            .builder()
            .enable_all()
            .stall_budget(Duration::from_millis(25))
            .build();
        let runtime: Runtime = built.unwrap();
        let tasks: Vec<_> = (0..4)
            .map(|_| runtime.spawn(async { compute_for_long() }))
            .collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
            // In the future that is blocked on as well.
            compute_for_long();
        });
        assert_eq!(runtime.metrics().num_stalls(), 0, "{kind}");
    }
}

#[test]
fn other_tasks_go_on_beside_borrowing_computation() {
    for kind in Kind::all()
        .into_iter()
        .filter(|kind| kind.workers.is_some())
    {
        let runtime = kind.build();
        let open = Arc::new(AtomicBool::new(false));
        let workers = kind.workers.unwrap();
        let tasks: Vec<_> = (0..workers)
            .map(|_| {
                let open = Arc::clone(&open);
                runtime.spawn(async move {
                    // Ends when another task of this runtime has run.
                    cpu::scope(|_| {
                        while !open.load(Ordering::SeqCst) {
                            thread::yield_now();
                        }
                    });
                })
            })
            .collect();
        let opener = Arc::clone(&open);
        let other = runtime.spawn(async move {
            tapio::time::sleep(Duration::from_millis(1)).await;
            opener.store(true, Ordering::SeqCst);
        });
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
            other.await.unwrap();
        });
    }
}

#[test]
fn borrowing_computation_works_wherever_it_is_called() {
    let double = |numbers: &[u32]| {
        let (mut low, mut high) = (0, 0);
        cpu::scope(|scope| {
            scope.spawn(|_| low = numbers.iter().map(|n| 2 * n).sum());
            scope.spawn(|_| high = numbers.iter().max().copied().unwrap_or(0));
        });
        (low, high)
    };
    assert_eq!(double(&[1, 2, 3]), (12, 3));
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            assert_eq!(double(&[1, 2]), (6, 2), "{kind}: block_on");
            let in_task = tapio::spawn(async move { double(&[1, 3]) });
            assert_eq!(in_task.await.unwrap(), (8, 3), "{kind}: task");
            let in_call = task::spawn_blocking(move || double(&[4]));
            assert_eq!(in_call.await.unwrap(), (8, 4), "{kind}: blocking call");
            let in_pool = cpu::spawn(move || double(&[5]));
            assert_eq!(in_pool.await.unwrap(), (10, 5), "{kind}: the pool");
        });
        let panicked = runtime.block_on(async {
            tapio::spawn(async { cpu::join(|| panic!("of a branch"), || ()) }).await
        });
        let payload = panicked.unwrap_err().into_panic();
        assert_eq!(payload.downcast_ref(), Some(&"of a branch"), "{kind}");
        runtime.block_on(async { tapio::spawn(async {}).await.unwrap() });
    }
}

#[test]
fn parallel_iterators_inside_use_the_pool() {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};

    for (kind, runtime) in runtimes() {
        let names = || -> Vec<String> { (0..64).into_par_iter().map(|_| thread_name()).collect() };
        let spawned = runtime.block_on(cpu::spawn(names)).unwrap();
        let scoped = cpu::scope(|_| names());
        for name in spawned.into_iter().chain(scoped) {
            assert!(name.starts_with("tapio-cpu-"), "{kind}: {name}");
        }
    }
}

#[test]
fn a_group_waits_for_calls_that_its_children_began() {
    for (kind, runtime) in runtimes() {
        let done = Arc::new(AtomicBool::new(false));
        let failed = runtime.block_on(TaskGroup::scope(async |group| {
            let (begin, begun) = tapio::sync::oneshot::channel();
            let ended = Arc::clone(&done);
            group.spawn(async move {
                let call = cpu::spawn(move || {
                    let _ = begin.send(());
                    thread::sleep(Duration::from_millis(5));
                    ended.store(true, Ordering::SeqCst);
                });
                call.await.map_err(|error| error.to_string())
            });
            begun.await.unwrap();
            Err::<(), _>("of the body".to_owned())
        }));
        assert!(failed.is_err() && done.load(Ordering::SeqCst), "{kind}");
    }
}

#[test]
fn its_threads_are_nicer_than_others_and_no_other_is() {
    let nice = || rustix::process::getpriority_process(None).unwrap();
    let before = nice();
    let there = Kind::all()[0].build().block_on(cpu::spawn(nice)).unwrap();
    assert_eq!(there, (before + 5).min(19));
    assert_eq!(nice(), before);
}

#[test]
fn figures_add_up() {
    let runtime = Kind::all()[0].build();
    let before = cpu::metrics();
    runtime.block_on(async {
        cpu::spawn(|| ()).await.unwrap();
        assert!(cpu::spawn(|| panic!("counted")).await.is_err());
        until(|| {
            let after = cpu::metrics();
            after.done > before.done && after.panicked > before.panicked
        })
        .await;
    });
    let metrics = cpu::metrics();
    assert!(metrics.threads > 0 && metrics.queue_max > metrics.threads);
}
