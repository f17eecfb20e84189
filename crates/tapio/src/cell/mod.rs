//! What a task is made of.
//!
//! A task is one allocation (`layout`) whose state word (`state`) says who
//! may touch what; `harness` polls it, `raw` and `waker` are references to it,
//! `join` waits for it, `detach` does not and
//! has its errors reported, `unobserved` looks into results that nobody read, `owned` lists all of a scheduler's tasks, `new` makes
//! one. Who queues tasks is up to the implementor of [`Schedule`].
//!
//! Reading order: `state`, `layout`, `harness`, `join`.

mod detach;
mod error;
mod harness;
mod join;
mod layout;
#[cfg(all(test, tapio_model))]
mod model;
mod named;
mod new;
mod owned;
mod raw;
mod state;
mod unobserved;
mod waker;

pub use self::error::JoinError;
pub use self::join::{AbortHandle, JoinHandle};

pub(crate) use self::layout::{Header, Schedule};
pub(crate) use self::named::Named;
pub(crate) use self::new::{new_blocking_task, new_task};
pub(crate) use self::owned::OwnedTasks;
pub(crate) use self::raw::{Notified, TaskRef};
pub(crate) use self::waker::{Wakers, is_task_waker, other_wakers};
