//! Tasks that stay on one thread.
//!
//! A `LocalSet` (`local_set`) is a future that runs tasks of its own inside
//! of whatever polls it. Its parts:
//! - `scene`: what belongs to the set's thread, above all the queue, and the
//!   thread's notion of the set it is in, by which `spawn_local` finds it;
//! - `shared`: what other threads may reach, which is how a task that is
//!   woken from elsewhere comes home.
//!
//! # What keeps futures that are not `Send` on their thread
//! A task is polled and dropped only by the set: in `tick`, and when the set
//! is dropped. The set is not `Send`. Other threads hold references without
//! the right to run (wakers, abort handles) and `Notified`s on their way into
//! the inbox, which the set alone empties. The last reference may be dropped
//! anywhere: by then the future is gone, since the list of all tasks holds a
//! reference until it is; and a result that is not `Send` has a join handle
//! that is not `Send` either.

mod local_set;
mod scene;
mod shared;

pub use self::local_set::LocalSet;
pub use self::scene::{LocalEnterGuard, spawn_local};

pub(super) use self::scene::spawn_local_named;
