//! Threads for calls that block.
//!
//! The pool is elastic: a thread is started when a call finds none idle, up
//! to a limit, and ends after it was idle for a while. Calls beyond the limit
//! wait in line.

mod pool;

pub(crate) use self::pool::{Config, NoSchedule, Pool, Refused};
