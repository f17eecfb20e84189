//! Errors that nobody looks at are reported, as far as they can be seen; those
//! that somebody looks at are not.

use std::fmt;
use std::io;
use std::panic::Location;

use tapio::runtime::{Builder, Runtime};
use tapio::sync::oneshot;
use tapio::task;

use crate::reports::{Reports, panic_quietly};
use crate::support::{runtimes, until};

#[test]
fn an_error_of_a_known_type_is_reported_with_its_text() {
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let ids = runtime.block_on(async {
            let boxed: Result<(), Box<dyn std::error::Error + Send + Sync>> = Err("boxed".into());
            let handles = [
                runtime.spawn(async { boxed }).abort_handle(),
                runtime
                    .spawn(async { Err::<(), _>(io::Error::other("of io")) })
                    .abort_handle(),
                runtime
                    .spawn_blocking(|| Err::<u64, _>("text"))
                    .abort_handle(),
            ];
            until(|| runtime.metrics().num_unobserved_errors() == 3).await;
            handles.map(|handle| handle.id())
        });
        let metrics = runtime.metrics();
        drop(runtime);
        for (id, text) in ids.into_iter().zip(["boxed", "of io", "text"]) {
            let errors = reports.errors_of(id);
            assert!(errors.len() == 1, "{kind}: {errors:?}");
            assert_eq!(errors[0].error, text, "{kind}");
            assert!(errors[0].to_string().contains(text), "{}", errors[0]);
        }
        assert_eq!(metrics.num_unobserved_errors(), 3, "{kind}");
        assert_eq!(metrics.num_unobserved_panics(), 0, "{kind}");
    }
}

#[test]
fn what_is_no_lost_error_is_not_reported() {
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let ids = runtime.block_on(async {
            let read = runtime.spawn(async { Err::<(), _>(io::Error::other("read")) });
            let fine = runtime.spawn(async { io::Result::Ok(()) });
            let sure = runtime.spawn(async { Ok::<u8, std::convert::Infallible>(1) });
            let held = runtime.spawn(async { (Err::<(), _>(io::Error::other("held")),) });
            let ids = [read.id(), fine.id(), sure.id(), held.id()];
            assert!(read.await.unwrap().is_err());
            drop((fine, sure, held));
            ids
        });
        let metrics = runtime.metrics();
        drop(runtime);
        for id in ids {
            assert!(reports.errors_of(id).is_empty(), "{kind}");
        }
        assert_eq!(metrics.num_unobserved_errors(), 0, "{kind}");
    }
}

#[test]
fn an_error_of_a_task_that_was_told_to_end_is_no_loss() {
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let id = runtime.block_on(async {
            let (tell, told) = oneshot::channel();
            let handle = runtime.spawn(async move {
                let itself: task::AbortHandle = told.await.unwrap();
                // Told in the middle of its last poll.
                itself.abort();
                Err::<(), _>(io::Error::other("as a result"))
            });
            tell.send(handle.abort_handle()).unwrap();
            let id = handle.id();
            drop(handle);
            until(|| runtime.metrics().num_alive_tasks() == 0).await;
            id
        });
        assert!(reports.errors_of(id).is_empty(), "{kind}");
    }
}

struct Own;

#[test]
fn a_result_that_cannot_be_looked_into_is_named_once_for_its_place() {
    let reports = Reports::listen();
    let spawn = |runtime: &Runtime, is_fine: bool| {
        let outcome = if is_fine { Ok(()) } else { Err(Own) };
        let at = Location::caller();
        drop(runtime.spawn(async move { outcome }));
        at
    };
    let mut line = 0;
    for (_, runtime) in runtimes() {
        for is_fine in [true, false, true] {
            line = spawn(&runtime, is_fine).line() + 1;
        }
        runtime.block_on(until(|| runtime.metrics().num_alive_tasks() == 0));
        assert_eq!(runtime.metrics().num_unobserved_errors(), 0);
    }
    let unread = reports.unread_from(file!(), line);
    assert_eq!(unread.len(), 1, "{unread:?}");
    assert!(unread[0].type_name.ends_with("::Own>"));
    let text = unread[0].to_string();
    assert!(text.starts_with("unread result: task"), "{text}");
    assert!(reports.errors_from(file!(), line).is_empty());
}

#[test]
fn many_errors_from_one_place_are_reported_ever_less_often() {
    let reports = Reports::listen();
    let runtime = Builder::new_current_thread().build().unwrap();
    let mut ids = Vec::new();
    for n in 0..40 {
        let task = runtime.spawn(async move { Err::<(), _>(format!("number {n}")) });
        ids.push(task.id());
    }
    runtime.block_on(until(|| runtime.metrics().num_alive_tasks() == 0));
    let reported: Vec<u64> = ids
        .iter()
        .flat_map(|id| reports.errors_of(*id))
        .map(|error| error.count)
        .collect();
    assert_eq!(reported, [1, 2, 3, 4, 5, 6, 7, 8, 16, 32]);
    assert_eq!(runtime.metrics().num_unobserved_errors(), 40);
}

/// An error that only `report_errors` can show.
#[derive(Debug)]
struct Shown(u32);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shown {}", self.0)
    }
}

#[test]
fn a_task_detached_with_report_errors_shows_any_error_whenever_it_ends() {
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let (ids, fine, panicked) = runtime.block_on(async {
            let mut ids = Vec::new();
            for n in 0..20 {
                let (end, ended) = oneshot::channel::<()>();
                let handle = runtime.spawn(async move {
                    let _ = ended.await;
                    Err::<(), _>(Shown(n))
                });
                ids.push(handle.id());
                // Before its end, and after.
                if n % 2 == 0 {
                    handle.report_errors();
                    drop(end);
                } else {
                    drop(end);
                    until(|| handle.is_finished()).await;
                    handle.report_errors();
                }
            }
            let blocking = task::spawn_blocking(|| Err::<(), _>(Shown(20)));
            ids.push(blocking.id());
            blocking.report_errors();
            let fine = task::spawn(async { Ok::<(), Shown>(()) });
            let panicked = task::spawn(async {
                if true {
                    panic_quietly("unseen");
                }
                Ok::<(), Shown>(())
            });
            let (fine_id, panicked_id) = (fine.id(), panicked.id());
            fine.report_errors();
            panicked.report_errors();
            until(|| runtime.metrics().num_alive_tasks() == 0).await;
            (ids, fine_id, panicked_id)
        });
        let metrics = runtime.metrics();
        drop(runtime);
        for (n, id) in ids.into_iter().enumerate() {
            let errors = reports.errors_of(id);
            assert_eq!(errors.len(), 1, "{kind}, {n}");
            assert_eq!(errors[0].error, format!("shown {n}"), "{kind}");
        }
        assert!(reports.errors_of(fine).is_empty(), "{kind}");
        assert_eq!(reports.panics_of(panicked).len(), 1, "{kind}");
        assert_eq!(metrics.num_unobserved_errors(), 21, "{kind}");
        assert_eq!(metrics.num_unobserved_panics(), 1, "{kind}");
    }
}
