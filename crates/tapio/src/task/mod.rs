//! Tasks: spawning, joining, aborting.
//!
//! `spawn`, `builder`, `set`, `local` and `task_local` are what users call; what a task
//! is made of is in `cell`.

mod builder;
mod group;
mod local;
mod on_complete;
mod set;
mod spawn;
mod task_local;
mod yield_now;

pub use self::builder::Builder;
pub(crate) use self::group::{Alive, current_life};
pub use self::group::{Ended, Failure, GroupError, Place, Scope, Spawner, TaskGroup};
pub use self::local::{LocalEnterGuard, LocalSet, spawn_local};
pub use self::set::JoinSet;
pub use self::spawn::{block_in_place, spawn, spawn_blocking};

pub(crate) use self::spawn::spawn_blocking_at;
pub use self::task_local::{AccessError, LocalKey};
pub use self::yield_now::yield_now;
pub use crate::cell::{AbortHandle, JoinError, JoinHandle};
pub use crate::coop::{Unconstrained, consume_budget, unconstrained};
pub use crate::task_id::{Id, id, try_id};

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
    pub use super::set::{Builder, JoinSet};
}
