//! Functions that the user has called along a thread's way.

use std::sync::mpsc;

use tapio::guard::{Report, on_report};
use tapio::runtime::Builder;

use crate::support::Kind;

/// Gives a builder a hook that panics.
type Give = fn(&mut Builder);

#[test]
fn a_hook_that_panics_ends_no_thread_and_is_reported() {
    fn panics() {
        panic!("a hook of a test");
    }
    let gives: [(&str, Give); 4] = [
        ("on_thread_start", |builder| {
            builder.on_thread_start(panics);
        }),
        ("on_thread_stop", |builder| {
            builder.on_thread_stop(panics);
        }),
        ("on_thread_park", |builder| {
            builder.on_thread_park(panics);
        }),
        ("on_thread_unpark", |builder| {
            builder.on_thread_unpark(panics);
        }),
    ];
    for kind in Kind::all() {
        for (name, give) in gives {
            let (tell, told) = mpsc::channel();
            let _reports = on_report(move |report| {
                if let Report::CallbackPanic(panic) = report
                    && panic.called_by == format!("Builder::{name}")
                {
                    let _ = tell.send((panic.given_at.file(), panic.message.clone()));
                }
            });
            let mut builder = kind.builder();
            give(&mut builder);
            let runtime = builder.enable_all().build().expect("a runtime");
            // More than one waits, wakes and ends.
            let blocking = runtime.spawn_blocking(|| {});
            let task = runtime.spawn(async { tapio::task::yield_now().await });
            runtime.block_on(async {
                blocking.await.expect("no panic");
                task.await.expect("no panic");
                tapio::time::sleep(std::time::Duration::from_millis(1)).await;
            });
            drop(runtime);
            let (file, message) = told.recv().expect("it is reported");
            assert_eq!(file, file!(), "{kind}: {name}");
            assert_eq!(
                message.as_deref(),
                Some("a hook of a test"),
                "{kind}: {name}"
            );
        }
    }
}
