//! A child comes back to where its parent's tasks are run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use super::rig::{Child, TWICE, assert_all_works, fork, must_refuse};
use crate::child::in_child;
use crate::rig::{Kind, assert_works};

/// Work that is the parent's, and would be done twice by a child.
async fn only_in(process: u32) {
    if std::process::id() != process {
        eprintln!("{TWICE}");
    }
}

#[test]
fn a_child_that_comes_back_to_its_parents_threads_ends_with_words() {
    in_child(
        "fork::back::a_child_that_comes_back_to_its_parents_threads_ends_with_words",
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
        "fork::back::a_child_that_comes_back_to_block_on_gets_a_panic",
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
