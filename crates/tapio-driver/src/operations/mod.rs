//! Whether operations may use `io_uring`.
//!
//! Sockets never do: they are watched by `epoll` alone (decision 0009). A ring
//! is for what is an operation by nature, such as a read of a file. It is made
//! when the first one is needed, so a program that has none never has a ring.
//!
//! - `ability` names what a kernel must offer
//! - `probe` finds out, with a small ring of its own; `refusal` is its no

mod ability;
mod probe;
mod refusal;

pub use self::ability::Ability;
pub(crate) use self::probe::probe;
pub use self::refusal::Refusal;
