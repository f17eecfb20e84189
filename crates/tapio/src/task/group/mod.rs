//! Structured concurrency: tasks that end with the block that spawned them.
//!
//! `scope` is the future that a group lives in, `crew` its children as that
//! future sees them, `shared` what it shares with those who spawn. `group`,
//! `spawner` and `error` are what users hold; `life` tells when everything
//! that was begun in a group has ended, grandchildren included.

mod crew;
mod error;
#[expect(clippy::module_inception, reason = "the type that users hold")]
mod group;
mod life;
mod scope;
mod shared;
mod spawner;

pub use self::error::{Failure, GroupError};
pub use self::group::TaskGroup;
pub(crate) use self::life::{Alive, current_life};
pub use self::scope::{Ended, Scope};
pub use self::spawner::{Place, Spawner};
