//! A group of tasks that are waited for together.
//!
//! `join_set` is what users hold; `woken` remembers which of its handles were
//! woken, so that only those are polled.

mod join_set;
mod woken;

pub use self::join_set::JoinSet;
