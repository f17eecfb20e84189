//! The guard's signal beside a program's own: handlers set before and after,
//! masks, other signals, and a process that is stopped as a whole.

#![expect(unsafe_code, reason = "sets handlers and masks of signals")]

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::mem;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tapio::guard::{Report, Stall, on_report};
use tapio::runtime::Runtime;

use crate::child::{self, in_child};
use crate::rig::{Kind, assert_works};

/// How often one of the handlers below was called.
static CALLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn plain(_: c_int) {
    CALLED.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn with_information(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel gives it to a handler that asked for it.
    let signal = unsafe { (*info).si_signo };
    assert_eq!(signal, libc::SIGURG);
    CALLED.fetch_add(1, Ordering::SeqCst);
}

/// Sets a handler as a program does.
fn set_handler(signal: c_int, handler: usize, flags: c_int) {
    // SAFETY: a value for which all zeroes are one.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: both handlers do no more than handlers may.
    let result = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    assert_eq!(result, 0, "signal {signal}");
}

/// Sends this process a signal and waits until its handler has been called.
fn raise_and_wait(signal: c_int) {
    let before = CALLED.load(Ordering::SeqCst);
    // SAFETY: to this thread, which does not block it.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
    assert_eq!(CALLED.load(Ordering::SeqCst), before + 1);
}

/// Has a task compute until the guard says so. `K` has it do so in code of its
/// own: of two stalls at one place the second is only counted.
fn stall<const K: usize>(runtime: &Runtime) -> Stall {
    let told = Arc::new((AtomicBool::new(false), Mutex::new(None)));
    let tell = Arc::clone(&told);
    let _reports = on_report(move |report| {
        if let Report::Stall(stall) = report {
            tell.1.lock().unwrap().get_or_insert(stall.clone());
            tell.0.store(true, Ordering::Release);
        }
    });
    let seen = Arc::clone(&told);
    let task = runtime.spawn(async move {
        while !black_box(seen.0.load(Ordering::Acquire)) {
            std::hint::spin_loop();
        }
    });
    runtime.block_on(task).expect("it is reported");
    let stall = told.1.lock().unwrap().take();
    stall.expect("it was reported")
}

fn assert_has_stack(stall: &Stall) {
    let frame = stall
        .stack
        .as_ref()
        .and_then(|stack| stack.top_user_frame());
    let file = frame.and_then(|frame| frame.file.as_ref());
    assert!(
        file.is_some_and(|file| file.ends_with("capture.rs")),
        "{stall}"
    );
}

fn assert_has_none(stall: &Stall, why: &str) {
    assert!(stall.stack.is_none(), "{stall}");
    assert!(stall.to_string().contains(why), "{stall}");
}

/// Runs `body` in a process of its own for each kind of runtime.
fn for_each_kind(name: &str, body: impl Fn(Kind)) {
    in_child(&format!("capture::{name}"), || {
        Kind::all().into_iter().for_each(body)
    });
}

#[test]
fn a_handler_from_before_is_called_for_what_is_its_own() {
    for_each_kind(
        "a_handler_from_before_is_called_for_what_is_its_own",
        |kind| {
            // The first runtime puts its handler over this one; the others find
            // that it is there.
            if CALLED.load(Ordering::SeqCst) == 0 {
                let handler = with_information as *const () as usize;
                set_handler(libc::SIGURG, handler, libc::SA_SIGINFO);
                set_handler(libc::SIGUSR2, plain as *const () as usize, 0);
            }
            let runtime = kind.build();
            let mut builder = kind.builder();
            let other = builder.stall_signal(libc::SIGUSR2).build().unwrap();
            raise_and_wait(libc::SIGURG);
            raise_and_wait(libc::SIGUSR2);
            let before = CALLED.load(Ordering::SeqCst);
            assert_has_stack(&stall::<0>(&runtime));
            assert_has_stack(&stall::<1>(&other));
            assert_eq!(CALLED.load(Ordering::SeqCst), before, "ours is not its own");
            raise_and_wait(libc::SIGURG);
            raise_and_wait(libc::SIGUSR2);
        },
    );
}

#[test]
fn a_program_that_sets_all_handlers_keeps_them_and_the_report_says_why() {
    let name = "a_program_that_sets_all_handlers_keeps_them_and_the_report_says_why";
    for_each_kind(name, |kind| {
        let runtime = kind.build();
        for signal in 1..=libc::SIGRTMAX() {
            let is_ours_to_set = !matches!(signal, 32..34 | libc::SIGKILL | libc::SIGSTOP);
            if is_ours_to_set {
                set_handler(signal, plain as *const () as usize, libc::SA_RESTART);
            }
        }
        let before = CALLED.load(Ordering::SeqCst);
        let why = "the program has replaced the handler of signal 23";
        assert_has_none(&stall::<0>(&runtime), why);
        drop(runtime);
        // A runtime that comes later leaves the handler where it is.
        let later = kind.build();
        assert_has_none(&stall::<0>(&later), why);
        assert_works(&later);
        assert_eq!(CALLED.load(Ordering::SeqCst), before, "nothing was sent");
        raise_and_wait(libc::SIGURG);
    });
}

#[test]
fn a_thread_that_blocks_the_signal_is_left_alone_and_the_report_says_why() {
    let name = "a_thread_that_blocks_the_signal_is_left_alone_and_the_report_says_why";
    for_each_kind(name, |kind| {
        let runtime = kind.build();
        let set_mask = |how| {
            // SAFETY: changes the mask of this thread, and reads what it is
            // given.
            unsafe {
                let mut set: libc::sigset_t = mem::zeroed();
                libc::sigemptyset(&raw mut set);
                libc::sigaddset(&raw mut set, libc::SIGURG);
                libc::pthread_sigmask(how, &raw const set, ptr::null_mut());
            }
        };
        // The whole program blocks it, so that every worker does.
        set_mask(libc::SIG_BLOCK);
        let blocking = kind.build();
        let report = stall::<0>(&blocking);
        assert_has_none(&report, "the thread blocks signal 23");
        drop(blocking);
        set_mask(libc::SIG_UNBLOCK);
        assert_has_stack(&stall::<0>(&runtime));
    });
}

#[test]
fn runtimes_may_have_signals_of_their_own() {
    for_each_kind("runtimes_may_have_signals_of_their_own", |kind| {
        for signal in [libc::SIGUSR1, libc::SIGPROF, libc::SIGRTMIN() + 3] {
            let runtime = kind.builder().stall_signal(signal).build().unwrap();
            assert_has_stack(&stall::<0>(&runtime));
        }
        for signal in [0, 65, libc::SIGKILL, libc::SIGSEGV, libc::SIGCHLD] {
            let error = kind.builder().stall_signal(signal).build().unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(&format!("signal {signal} cannot be")),
                "{text}"
            );
        }
    });
}

#[test]
fn a_signal_that_ends_the_program_still_does() {
    const INNER: &str = "TAPIO_TEST_RAISE";
    let name = "capture::a_signal_that_ends_the_program_still_does";
    if std::env::var_os(INNER).is_some() {
        let mut builder = Kind::all()[0].builder();
        let runtime = builder.stall_signal(libc::SIGUSR1).build().unwrap();
        assert_has_stack(&stall::<0>(&runtime));
        kill_process(getpid(), Signal::USR1).unwrap();
        unreachable!("it is over");
    }
    let mut command = child::command(name, &[]);
    command.env(INNER, "1").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().expect("a child ends");
    assert_eq!(status.signal(), Some(libc::SIGUSR1), "{status}");
}

#[test]
fn a_process_that_was_stopped_as_a_whole_reports_nothing() {
    let name = "a_process_that_was_stopped_as_a_whole_reports_nothing";
    for_each_kind(name, |kind| {
        let mut builder = kind.builder();
        // Far longer than this machine's own hiccups, far shorter than what
        // the process is stopped for.
        let runtime = builder
            .stall_budget(Duration::from_millis(200))
            .build()
            .unwrap();
        let script = "until grep -q '^State:.T' /proc/$PPID/status; do :; done
                      sleep 1; kill -CONT $PPID";
        for _ in 0..2 {
            let mut helper = Command::new("sh").args(["-c", script]).spawn().unwrap();
            let task = runtime.spawn(async {
                // In the middle of a poll.
                kill_process(getpid(), Signal::STOP).unwrap();
            });
            runtime.block_on(task).unwrap();
            assert!(helper.wait().unwrap().success());
        }
        assert_eq!(runtime.metrics().num_stalls(), 0, "{kind}");
        assert_has_stack(&stall::<0>(&runtime));
        assert_eq!(runtime.metrics().num_stalls(), 1, "{kind}");
    });
}
