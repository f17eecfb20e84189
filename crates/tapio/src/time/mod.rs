//! Sleeping, timeouts and intervals.
//!
//! Timers count in milliseconds: they fire at the first whole millisecond (of
//! the runtime's own count) at or after their deadline, never before it. They
//! need a runtime built with [`enable_time`](crate::runtime::Builder::enable_time)
//! or `enable_all`, and belong to the one in which they are made.
//!
//! - [`sleep`], [`sleep_until`]: wait once
//! - [`timeout`], [`timeout_at`]: give another future a limit
//! - [`interval`], [`interval_at`]: wait again and again
//!
//! # Cost
//! A timer is an entry in the wheel of the worker on which it was first
//! polled: to make and cancel one takes one reading of the clock and two
//! uncontended locks, however many there are, and allocates nothing.
//!
//! # Examples
//! ```
//! use tapio::time::{Duration, sleep, timeout};
//!
//! # #[tapio::main(flavor = "current_thread")]
//! # async fn main() {
//! let slow = async {
//!     sleep(Duration::from_secs(3600)).await;
//!     "at last"
//! };
//! assert!(timeout(Duration::from_millis(5), slow).await.is_err());
//! # }
//! ```

mod instant;
mod interval;
mod missed;
mod sleep;
mod timeout;
mod timer;

pub mod error;

#[doc(no_inline)]
pub use std::time::Duration;

pub use self::instant::Instant;
pub use self::interval::{Interval, interval, interval_at};
pub use self::missed::MissedTickBehavior;
pub use self::sleep::{Sleep, sleep, sleep_until};
#[doc(inline)]
pub use self::timeout::{Timeout, timeout, timeout_at};
