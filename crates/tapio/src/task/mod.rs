//! Tasks: spawning, joining, aborting.
//!
//! A task is one allocation (`cell`) whose state word (`state`) says who may
//! touch what; `harness` polls it, `raw` and `waker` are references to it,
//! `join` waits for it, `owned` lists all of a runtime's tasks. `spawn`,
//! `set`, `local` and `task_local` are what users call.

mod cell;
mod error;
mod harness;
mod id;
mod join;
mod local;
mod owned;
mod raw;
mod set;
mod spawn;
mod state;
mod task_local;
mod waker;
mod yield_now;

pub use self::error::JoinError;
pub use self::id::{Id, id, try_id};
pub use self::join::{AbortHandle, JoinHandle};
pub use self::local::{LocalEnterGuard, LocalSet, spawn_local};
pub use self::set::JoinSet;
pub use self::spawn::{block_in_place, spawn, spawn_blocking};
pub use self::task_local::{AccessError, LocalKey};
pub use self::yield_now::yield_now;
pub use crate::coop::{Unconstrained, consume_budget, unconstrained};

/// The cooperative budget, under tokio's names.
pub mod coop {
    pub use crate::coop::{
        Coop, RestoreOnPending, Unconstrained, consume_budget, cooperative, has_budget_remaining,
        poll_restorable as poll_proceed, unconstrained,
    };
}

/// Futures that this module's functions return.
pub mod futures {
    pub use super::task_local::TaskLocalFuture;
}

/// Sets of tasks, under tokio's path.
pub mod join_set {
    pub use super::set::JoinSet;
}

pub(crate) use self::cell::{Header, Schedule};
pub(crate) use self::owned::OwnedTasks;
pub(crate) use self::raw::{Notified, TaskRef};
pub(crate) use self::spawn::{new_blocking_task, new_task};
