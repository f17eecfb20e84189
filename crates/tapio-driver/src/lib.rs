//! The conversation with the kernel: `io_uring` and readiness behind one
//! contract.
//!
//! Reading order: [`contract`](Driver) says what a driver promises, `ready`
//! and `source` hold what a descriptor is ready for and who waits, `poll` and
//! `ring` keep the promise, `choose` opens one at run time and says why not
//! the other. This crate knows nothing of tasks: it collects wakers.

mod choose;
mod contract;
mod error;
mod poll;
mod ready;
mod ring;
mod source;
mod wake;
mod wakes;

pub use crate::choose::{Chosen, Options, Refusal, open};
pub use crate::contract::{Driver, DriverKind, Limit, Remote, UnknownDriver};
pub use crate::error::{is_shut_down_error, shut_down_error};
pub use crate::ready::{Interest, Ready};
pub use crate::ring::Ability;
pub use crate::source::{Direction, Event, Lane, Place, Source};
pub use crate::wakes::Wakes;
