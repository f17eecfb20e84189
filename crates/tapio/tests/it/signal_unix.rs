//! Signals. Each test has one of its own, since they are the process's.

use std::ffi::c_int;
use std::fs;
use std::io::ErrorKind;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use rustix::process::{Signal as Number, getpid, kill_process};
use tapio::runtime::Builder;
use tapio::signal::unix::{SignalKind, signal};
use tapio::task::yield_now;

use crate::support::{runtimes, until};

fn send(number: Number) {
    kill_process(getpid(), number).expect("a process may signal itself");
}

#[test]
fn every_listener_hears_every_signal() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut first = signal(SignalKind::user_defined1()).expect("a listener");
            let mut second = signal(SignalKind::user_defined1()).expect("a listener");
            drop(signal(SignalKind::user_defined1()).expect("a listener"));
            for _ in 0..3 {
                send(Number::USR1);
                assert_eq!(first.recv().await, Some(()), "{kind}");
                assert_eq!(second.recv().await, Some(()), "{kind}");
            }
            assert!(first.recv().now_or_never().is_none(), "{kind}: heard once");
        });
    }
}

#[test]
fn a_signal_waits_for_its_listener() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut listener = signal(SignalKind::user_defined2()).expect("a listener");
            let mut told = signal(SignalKind::user_defined2()).expect("a listener");
            send(Number::USR2);
            told.recv().await;
            send(Number::USR2);
            told.recv().await;
            // Two that came while nobody waited are one.
            let heard = listener.recv().now_or_never();
            assert_eq!(heard, Some(Some(())), "{kind}");
            assert!(listener.recv().now_or_never().is_none(), "{kind}");
        });
    }
}

#[test]
fn a_loop_that_listens_anew_misses_none() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            drop(signal(SignalKind::window_change()).expect("a listener"));
            for _ in 0..20 {
                // While nobody listens.
                send(Number::WINCH);
                yield_now().await;
                let mut listener = signal(SignalKind::window_change()).expect("a listener");
                assert_eq!(listener.recv().await, Some(()), "{kind}");
            }
        });
    }
}

#[test]
fn runtimes_listen_side_by_side_and_come_and_go() {
    // The same signal in all of them, one after the other and at once.
    for _ in 0..2 {
        let listening: Vec<_> = runtimes()
            .map(|(kind, runtime)| {
                let (ready, is_ready) = std::sync::mpsc::channel();
                let waits = thread::spawn(move || {
                    runtime.block_on(async {
                        let mut listener = signal(SignalKind::io()).expect("a listener");
                        ready.send(()).expect("the test waits");
                        let task = tapio::spawn(async move { listener.recv().await });
                        task.await.expect("it ends")
                    })
                });
                is_ready.recv().expect("it listens");
                (kind, waits)
            })
            .collect();
        send(Number::IO);
        for (kind, waits) in listening {
            assert_eq!(waits.join().expect("no panic"), Some(()), "{kind}");
        }
    }
}

#[test]
fn real_time_signals_are_heard() {
    const NUMBER: c_int = 40;
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut listener = signal(SignalKind::from_raw(NUMBER)).expect("a listener");
            let pid = std::process::id().to_string();
            let number = format!("-{NUMBER}");
            let status = std::process::Command::new("sh")
                .args(["-c", &format!("kill {number} {pid}")])
                .status();
            assert!(status.expect("a shell").success(), "{kind}");
            assert_eq!(listener.recv().await, Some(()), "{kind}");
        });
    }
}

#[test]
fn ctrl_c_is_a_signal_like_others() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let pressed = tapio::spawn(tapio::signal::ctrl_c());
            // Once it listens, a signal does not end this program.
            let mut listens = signal(SignalKind::interrupt()).expect("a listener");
            for _ in 0..3 {
                yield_now().await;
            }
            send(Number::INT);
            listens.recv().await;
            // It may have begun to listen only now, on another worker.
            until(|| {
                send(Number::INT);
                pressed.is_finished()
            })
            .await;
            let pressed = pressed.await.expect("it ends");
            pressed.unwrap_or_else(|error| panic!("{kind}: {error}"));
        });
    }
}

#[test]
fn what_cannot_be_caught_is_an_error() {
    for (kind, runtime) in runtimes() {
        let _entered = runtime.enter();
        for number in [-1, 0, 65, 9, 11, 19] {
            let error = signal(SignalKind::from_raw(number)).expect_err("not this one");
            assert_eq!(error.kind(), ErrorKind::Other, "{kind}");
            let names_it = error.to_string().contains(&format!("signal {number}"));
            assert!(names_it, "{kind}: {error}");
        }
    }
    assert_eq!(SignalKind::from(15), SignalKind::terminate());
    assert_eq!(c_int::from(SignalKind::hangup()), 1);
}

#[test]
fn listening_needs_a_runtime_with_io() {
    let outside = std::panic::catch_unwind(|| signal(SignalKind::alarm()).is_ok());
    assert!(outside.is_err());
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let disabled = std::panic::catch_unwind(|| {
        let _entered = runtime.enter();
        signal(SignalKind::alarm()).is_ok()
    });
    assert!(disabled.is_err());
}

/// How often the thread that hears signals was woken, by the kernel's count.
fn wakes_of_the_thread() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs");
    let folder = tasks
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|folder| {
            fs::read_to_string(folder.join("comm")).is_ok_and(|name| name.trim() == "tapio-signal")
        })
        .expect("the thread is there");
    let status = fs::read_to_string(folder.join("status")).expect("procfs");
    let switches = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
        .expect("the kernel counts");
    switches.trim().parse().expect("a number")
}

#[test]
fn the_thread_sleeps_while_no_signal_arrives() {
    // A process of its own: other tests here send signals.
    const MARK: &str = "TAPIO_TEST_SIGNAL_SLEEP";
    const NAME: &str = "signal_unix::the_thread_sleeps_while_no_signal_arrives";
    if std::env::var_os(MARK).is_none() {
        let program = std::env::current_exe().expect("this program");
        let output = std::process::Command::new(program)
            .args(["--exact", NAME, "--nocapture"])
            .env(MARK, "1")
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
        return;
    }
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut listener = signal(SignalKind::hangup()).expect("a listener");
            send(Number::HUP);
            listener.recv().await;
            assert!(
                listener
                    .poll_recv(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
            // Until it is back at its read.
            let mut before = wakes_of_the_thread();
            loop {
                tapio::time::sleep(Duration::from_millis(5)).await;
                let now = wakes_of_the_thread();
                if now == before {
                    break;
                }
                before = now;
            }
            tapio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(wakes_of_the_thread(), before, "{kind}");
        });
    }
}
