//! What goes wrong in asynchronous programs, seen and said: stalls,
//! deadlocks, lost errors and panics.

pub use crate::report::{LimitHit, Report, Subscription, TaskInfo, on_report};
