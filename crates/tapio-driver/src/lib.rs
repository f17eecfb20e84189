//! The conversation with the kernel.
//!
//! Reading order: [`contract`](Driver) says what a driver promises, `ready`
//! and `source` hold what a descriptor is ready for and who waits, `driver`
//! keeps the promise with one `epoll` (`epoll`) and an alarm (`wake`).
//! `operations` finds out whether the kernel offers `io_uring` for what is an
//! operation by nature, `options` says whether it may be used. This crate knows
//! nothing of tasks: it collects wakers.

mod contract;
mod driver;
mod epoll;
mod error;
mod operations;
mod options;
mod ready;
mod source;
mod wake;
mod wakes;

pub use crate::contract::{Driver, DriverKind, Limit, Remote, UnknownDriver};
pub use crate::driver::open;
pub use crate::error::{is_shut_down_error, shut_down_error};
pub use crate::operations::{Ability, Refusal};
pub use crate::options::Options;
pub use crate::ready::{Interest, Ready};
pub use crate::source::{Direction, Event, Place, Source};
pub use crate::wakes::Wakes;
