//! Threads for calls that block.
//!
//! The pool is elastic: a thread is started when a call finds none idle, up
//! to a limit, and ends after it was idle for a while. Calls beyond the limit
//! wait in line.
//!
//! `pool` has the threads and the line; `schedule` is what a call's task
//! knows of it.

mod pool;
mod schedule;

pub(crate) use self::pool::{Config, Pool, Refused};
pub(crate) use self::schedule::NoSchedule;
