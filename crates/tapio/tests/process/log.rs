//! How loud a report is in a program's log.

use std::sync::{Arc, Mutex};

use tapio::runtime::Builder;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::child::in_child;

/// A log that keeps the levels of what the guard has said.
#[derive(Clone, Default)]
struct Levels(Arc<Mutex<Vec<Level>>>);

impl Subscriber for Levels {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tapio::guard"
    }

    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// An error without a text.
struct Own;

#[test]
fn a_lost_error_is_a_warning_and_an_unread_result_is_not() {
    let name = "log::a_lost_error_is_a_warning_and_an_unread_result_is_not";
    in_child(name, || {
        let levels = Levels::default();
        tracing::subscriber::set_global_default(levels.clone()).unwrap();
        // Each is reported while its task ends.
        for may_be_fine in [true, false] {
            let runtime = Builder::new_current_thread().build().unwrap();
            if may_be_fine {
                drop(runtime.spawn(async { Ok::<(), Own>(()) }));
            } else {
                drop(runtime.spawn(async { Err::<(), _>("lost") }));
            }
            while runtime.metrics().num_alive_tasks() > 0 {
                runtime.block_on(tapio::task::yield_now());
            }
        }
        assert_eq!(*levels.0.lock().unwrap(), [Level::INFO, Level::WARN]);
    });
}
