//! The queue of `tapio::cpu`, whose limit is the process's.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;

use tapio::cpu::{self, CpuHandle};
use tapio::guard::{Report, on_report};

use crate::child::in_child;
use crate::rig::Kind;

const QUEUE_MAX: usize = 2;

/// The only thread of the pool is busy until the sender is dropped.
fn busy() -> (CpuHandle<()>, mpsc::Sender<()>) {
    let (hold, held) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let call = cpu::spawn(move || {
        begin.send(()).expect("somebody waits for it");
        let _ = held.recv();
    });
    begun.recv().expect("it begins");
    (call, hold)
}

#[test]
fn a_full_queue_is_waited_for_or_refused_and_reported_once() {
    in_child(
        "cpu::a_full_queue_is_waited_for_or_refused_and_reported_once",
        || {
            assert_eq!(cpu::metrics().threads, 0, "not before it is wanted");
            let mut builder = cpu::Builder::new();
            builder.threads(1).cpu_queue_max(QUEUE_MAX);
            builder.start().expect("it was not started");
            let again = builder.start().expect_err("once is enough");
            assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);

            let reports = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&reports);
            on_report(move |report| {
                if let Report::Limit(limit) = report
                    && limit.name == "cpu_queue_max"
                {
                    assert_eq!(limit.max, QUEUE_MAX);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
            .keep();

            for kind in Kind::all() {
                let runtime = kind.build();
                let full = cpu::metrics().full;
                let (first, hold) = busy();
                runtime.block_on(async {
                    let order = Arc::new(AtomicUsize::new(0));
                    let next = || {
                        let order = Arc::clone(&order);
                        move || order.fetch_add(1, Ordering::SeqCst)
                    };
                    let in_line: Vec<_> = (0..QUEUE_MAX).map(|_| cpu::spawn(next())).collect();
                    assert_eq!(cpu::metrics().queued, QUEUE_MAX, "{kind}");

                    let refused = cpu::try_spawn(next()).expect_err("no place is left");
                    assert!(refused.to_string().contains("cpu_queue_max (2) reached"));
                    let call = refused.into_call();

                    let mut waits = cpu::spawn(next());
                    let mut second = cpu::spawn(next());
                    let dropped = cpu::spawn(next());
                    poll_fn(|cx| {
                        for handle in [&mut waits, &mut second] {
                            assert!(std::pin::Pin::new(handle).poll(cx).is_pending(), "{kind}");
                        }
                        Poll::Ready(())
                    })
                    .await;
                    assert_eq!(cpu::metrics().queued, QUEUE_MAX, "{kind}: bounded");
                    assert_eq!(cpu::metrics().full, full + 4, "{kind}");
                    second.abort();
                    drop(dropped);
                    drop(hold);
                    first.await.expect("it was let go");
                    for (place, handle) in in_line.into_iter().enumerate() {
                        assert_eq!(handle.await.expect("it runs"), place, "{kind}");
                    }
                    assert_eq!(waits.await.expect("it got a place"), 2, "{kind}");
                    assert!(second.await.unwrap_err().is_cancelled(), "{kind}");
                    assert_eq!(call(), 3, "{kind}: neither of the others ran");
                });
                assert_eq!(reports.load(Ordering::SeqCst), 1, "{kind}");
            }
        },
    );
}
