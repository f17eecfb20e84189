//! A group of tasks that are waited for together.
//!
//! `join_set` is what users hold; `builder` names its tasks; `woken` remembers which of its handles were
//! woken, so that only those are polled.

mod builder;
mod join_set;
mod woken;

pub use self::builder::Builder;
pub use self::join_set::JoinSet;
