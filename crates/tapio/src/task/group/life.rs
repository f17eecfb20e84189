//! When everything that was begun in a group has ended.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

crate::task_local! {
    /// The group that the running task is a child of.
    pub(super) static LIFE: Arc<Alive>;
}

/// Held by everything that was begun in a group, for as long as it is there:
/// children, the groups in them and their children, calls on other threads.
pub(crate) struct Alive {
    /// One of those that the group's `Births` counts.
    _life: watch::Receiver<()>,
    /// A group in a child of another is a part of that one.
    _outer: Option<Arc<Alive>>,
}

impl fmt::Debug for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alive").finish_non_exhaustive()
    }
}

/// The group that the running task is a child of, if it is one.
pub(crate) fn current_life() -> Option<Arc<Alive>> {
    LIFE.try_with(Arc::clone).ok()
}

/// Hands out lives, and knows when the last has ended.
#[derive(Clone, Debug)]
pub(super) struct Births(watch::Sender<()>);

impl Births {
    pub(super) fn new() -> Births {
        Births(watch::Sender::new(()))
    }

    /// A life in the group, which is a part of the group of this task.
    pub(super) fn give(&self) -> Arc<Alive> {
        Arc::new(Alive {
            _life: self.0.subscribe(),
            _outer: current_life(),
        })
    }

    /// Waits until no life is left.
    pub(super) async fn all_ended(&self) {
        self.0.closed().await;
    }
}
