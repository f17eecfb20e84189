//! What the guard makes of a whole program.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tapio::guard::{self, Report, SiteAdvice, SiteKind, Verdict, advice, on_report, reset_advice};
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream};
use tapio::task::yield_now;

use crate::child::{in_child, in_children};
use crate::rig::{Kind, LOCAL};

/// Far more than any verdict takes.
const LIMIT: Duration = Duration::from_secs(60);

fn compute(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Waits until the tasks spawned at a line have this verdict.
fn until_verdict(kind: Kind, line: u32, verdict: Verdict) {
    until(kind, line, |site| site.verdict == verdict);
}

/// Waits until something holds of the tasks spawned at a line.
fn until(kind: Kind, line: u32, holds: impl Fn(&SiteAdvice) -> bool) {
    let begin = Instant::now();
    loop {
        let advice = advice();
        if let Some(site) = advice.site(file!(), line)
            && holds(site)
        {
            return;
        }
        assert!(begin.elapsed() < LIMIT, "{kind}, line {line}: {advice}");
        thread::sleep(Duration::from_millis(5));
    }
}

async fn echo(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut buf = [0; 64];
    while let Ok(len) = stream.read(&mut buf).await
        && len > 0
    {
        stream.write_all(&buf[..len]).await.expect("a connection");
    }
}

/// Has tasks of each sort run at once and waits for the verdict on each.
fn assert_told_apart(kind: Kind) {
    reset_advice();
    let is_over = Arc::new(AtomicBool::new(false));
    let goes_on = || {
        let is_over = Arc::clone(&is_over);
        move || !is_over.load(Ordering::Relaxed)
    };
    let (give, lines) = mpsc::channel();
    let (ask, think, sleep) = (goes_on(), goes_on(), goes_on());
    let driving = thread::spawn(move || {
        let runtime = kind.build();
        runtime.block_on(async {
            let listener = TcpListener::bind(LOCAL).await.expect("a port");
            let address = listener.local_addr().expect("bound");
            let serves = (line!() + 1, tapio::spawn(echo(listener)));
            let asks = tapio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("a listener");
                while ask() {
                    stream.write_all(b"hello").await.expect("a connection");
                    stream.read_exact(&mut [0; 5]).await.expect("an answer");
                }
            });
            let thinks = tapio::spawn(async move {
                while think() {
                    compute(Duration::from_millis(30));
                    yield_now().await;
                }
            });
            let computes = line!() - 6;
            let blocks = tapio::spawn(async move {
                while sleep() {
                    thread::sleep(Duration::from_millis(30));
                    yield_now().await;
                }
            });
            give.send([serves.0, computes, line!() - 6])
                .expect("the test waits for it");
            for task in [serves.1, asks, thinks, blocks] {
                task.await.expect("no panic");
            }
        });
    });
    let [serves, computes, blocks] = lines.recv().expect("it begins");
    until_verdict(kind, serves, Verdict::Fine);
    until_verdict(kind, computes, Verdict::Computes);
    until_verdict(kind, blocks, Verdict::Blocks);
    // What a poll waited for a CPU is not its length, so on a busy machine it
    // takes a while to meet a long one.
    until(kind, computes, |site| {
        site.longest_poll >= Duration::from_millis(20)
    });
    is_over.store(true, Ordering::Relaxed);
    driving.join().expect("the runtime ends");

    let advice = advice();
    let text = advice.to_string();
    for words in ["this is computation", "it blocks", "fine: ", "cpu::spawn"] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    let shares: f64 = advice.sites.iter().map(|site| site.share).sum();
    assert!(shares > 0.2 && shares <= 1.0 + 1e-9, "{text}");
}

#[test]
fn computing_blocking_and_io_are_told_apart() {
    in_child("advice::computing_blocking_and_io_are_told_apart", || {
        Kind::all().into_iter().for_each(assert_told_apart);
    });
}

/// Runs a future on a thread of its own.
fn drive<F>(kind: Kind, main: impl FnOnce() -> F + Send + 'static) -> thread::JoinHandle<()>
where
    F: Future<Output = ()>,
{
    thread::spawn(move || kind.build().block_on(main()))
}

#[test]
fn short_polls_that_sleep_block_and_do_not_compute() {
    let name = "advice::short_polls_that_sleep_block_and_do_not_compute";
    in_child(name, || {
        for kind in Kind::all() {
            reset_advice();
            let is_over = Arc::new(AtomicBool::new(false));
            let over = Arc::clone(&is_over);
            let line = line!() + 2;
            let driving = drive(kind, || async move {
                let naps = tapio::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        thread::sleep(Duration::from_millis(5));
                        tapio::time::sleep(Duration::from_millis(15)).await;
                    }
                });
                naps.await.expect("no panic");
            });
            let begin = Instant::now();
            let is_blocking = |site: &SiteAdvice| {
                assert_ne!(site.verdict, Verdict::Computes, "{kind}: {site}");
                site.verdict == Verdict::Blocks
            };
            until(kind, line, is_blocking);
            // And it stays so.
            while begin.elapsed() < Duration::from_secs(2) {
                until(kind, line, is_blocking);
                thread::sleep(Duration::from_millis(20));
            }
            is_over.store(true, Ordering::Relaxed);
            driving.join().expect("the runtime ends");
        }
    });
}

#[test]
fn threads_that_were_relieved_and_sleep_are_no_work() {
    let name = "advice::threads_that_were_relieved_and_sleep_are_no_work";
    in_child(name, || {
        for kind in Kind::all() {
            let workers = kind.workers.unwrap_or(1) as u32;
            reset_advice();
            let line = line!() + 3;
            let driving = drive(kind, || async {
                let sleep = || async { thread::sleep(Duration::from_millis(300)) };
                let tasks: Vec<_> = (0..40).map(|_| tapio::spawn(sleep())).collect();
                for task in tasks {
                    task.await.expect("no panic");
                }
            });
            driving.join().expect("the runtime ends");
            let advice = advice();
            let all = advice.elapsed * workers;
            // Twelve seconds in which threads slept. A little is CPU time.
            assert!(advice.worker_time < all * 2, "{kind}: {advice:?}");
            let site = advice.site(file!(), line).expect("seen");
            assert!(site.busy < all * 2, "{kind}: {advice}");
            assert!(site.busy <= advice.busy, "{kind}: {advice}");
            assert!(advice.busy <= advice.worker_time, "{kind}: {advice}");
            assert_eq!(site.verdict, Verdict::Blocks, "{kind}: {advice}");
        }
    });
}

#[test]
fn to_wait_for_a_cpu_is_no_long_poll() {
    const POLL: Duration = Duration::from_millis(2);
    let name = "advice::to_wait_for_a_cpu_is_no_long_poll";
    in_child(name, || {
        // As many threads as make each wait for the others, on every CPU.
        let cpus = thread::available_parallelism().expect("a number").get();
        let is_over = Arc::new(AtomicBool::new(false));
        let burners: Vec<_> = (0..6 * cpus)
            .map(|_| {
                let is_over = Arc::clone(&is_over);
                thread::spawn(move || while !is_over.load(Ordering::Relaxed) {})
            })
            .collect();
        for kind in Kind::all() {
            reset_advice();
            let is_met = Arc::new(AtomicBool::new(false));
            let met = Arc::clone(&is_met);
            let line = line!() + 2;
            let driving = drive(kind, || async move {
                let works = tapio::spawn(async move {
                    while !met.load(Ordering::Relaxed) {
                        compute_on_cpu(POLL);
                        yield_now().await;
                    }
                });
                works.await.expect("no panic");
            });
            until(kind, line, |site| site.samples >= 200);
            is_met.store(true, Ordering::Relaxed);
            driving.join().expect("the runtime ends");
            let advice = advice();
            let site = advice.site(file!(), line).expect("seen");
            assert!(site.longest_poll <= POLL * 3 / 2, "{kind}: {advice}");
            assert!(site.blocked < 0.5, "{kind}: {advice}");
        }
        is_over.store(true, Ordering::Relaxed);
        for burner in burners {
            burner.join().expect("it ends");
        }
    });
}

/// Computes until this thread has had so much of a CPU.
fn compute_on_cpu(time: Duration) {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let begin = now();
    while now() - begin < time {
        std::hint::spin_loop();
    }
}

#[test]
fn what_was_before_a_reset_is_forgotten() {
    in_child("advice::what_was_before_a_reset_is_forgotten", || {
        for kind in Kind::all() {
            let runtime = kind.build();
            let line = line!() + 2;
            let run = || {
                runtime.block_on(async {
                    compute(Duration::from_millis(300));
                    let (mut near, mut far) = tapio::net::UnixStream::pair().expect("a pair");
                    near.write_all(b"x").await.expect("room");
                    far.read_u8().await.expect("a byte");
                });
            };
            run();
            let before = advice();
            let site = before.site(file!(), line).expect("seen");
            assert!(
                site.kind == SiteKind::BlockOn && site.io == 2,
                "{kind}: {before}"
            );
            reset_advice();
            let after = advice();
            assert!(after.site(file!(), line).is_none(), "{kind}: {after}");
            assert!(after.looks < before.looks, "{kind}: {after}");
            run();
            let after = advice();
            let site = after.site(file!(), line).expect("seen again");
            assert_eq!(site.io, 2, "{kind}: {after}");
            drop(runtime);
            reset_advice();
        }
    });
}

/// Reports at the end, by what `TAPIO_ADVICE` is.
fn reports_at_the_end(kind: Kind) -> usize {
    let (give, reports) = mpsc::channel();
    let subscription = on_report(move |report| {
        if let Report::Advice(advice) = report {
            give.send(advice.to_string()).expect("it is awaited");
        }
    });
    // Two runtimes at once: the report comes with the end of the last.
    let (one, other) = (kind.build(), kind.build());
    let line = line!() + 1;
    one.block_on(async { until(kind, line, |site| site.verdict.asks_for_change()) });
    drop(one);
    assert_eq!(reports.try_iter().count(), 0, "{kind}");
    drop(other);
    drop(subscription);
    let place = format!("{}:{line}:", file!());
    reports
        .iter()
        .inspect(|text| assert!(text.contains(&place), "{kind}: {text}"))
        .count()
}

#[test]
fn the_advice_is_said_at_the_end_if_it_was_asked_for() {
    let name = "advice::the_advice_is_said_at_the_end_if_it_was_asked_for";
    let values: [Option<&OsStr>; 3] = [None, Some("0".as_ref()), Some("1".as_ref())];
    let environments = values.map(|value| [("TAPIO_ADVICE", value)]);
    let environments = environments.each_ref().map(|one| &one[..]);
    in_children(name, &environments, || {
        let is_asked = std::env::var("TAPIO_ADVICE").is_ok_and(|value| value == "1");
        for kind in Kind::all() {
            assert_eq!(reports_at_the_end(kind), usize::from(is_asked), "{kind}");
        }
    });
}

#[test]
fn advice_that_makes_no_sense_is_refused() {
    let name = "advice::advice_that_makes_no_sense_is_refused";
    in_children(
        name,
        &[&[("TAPIO_ADVICE", Some("please".as_ref()))]],
        || {
            let error = Kind::all()[0].builder().build().expect_err("no number");
            assert!(error.to_string().contains("TAPIO_ADVICE"), "{error}");
            // Without a runtime there is nothing to say, and that is said.
            assert!(guard::advice().sites.is_empty());
        },
    );
}
