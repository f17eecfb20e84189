//! Who runs tasks, where, and when they sleep.
//!
//! A **seat** is a place at which work arrives: an inbox, a timer wheel and a
//! driver. There are as many seats as worker threads were asked for. A
//! **worker** is a thread with a queue of its own, a **slot** through which
//! others steal from it, and, while it works, a seat. The two are apart so
//! that a thread which blocks can be relieved: everything at its seat and in
//! its slot can be reached without its help, and another thread takes the
//! seat (`handoff`).
//!
//! Locks that others may need (wheel, driver) are held in our own code only,
//! never while a task runs or a waker is woken.
//!
//! How a task gets to run: a wake on a worker goes to that worker's LIFO slot
//! (or, for a batch of driver events, to its queue); a wake from elsewhere
//! goes to a seat's inbox. Whoever adds work then looks whether somebody
//! sleeps and should come (`idle`, with the proof that no wake-up is lost).
//!
//! Reading order: `worker` is the loop, on one screen; `sitting` is how a worker
//! comes to a seat; `shared` is what all have in common; `seat`, `slot`, `idle`
//! are its parts; `current` drives a `current_thread` runtime; `handoff` relieves
//! a worker that says that it will block, `rescue` one that did not; `vacant` has
//! the seats that are free for it and `spares` the threads that stand by; `posts`
//! says what workers run; `unhandled` ends a runtime by a task's panic.

mod current;
mod gate;
mod handoff;
mod here;
mod idle;
mod inbox;
#[cfg(all(test, tapio_model))]
mod model;
mod posts;
mod rescue;
mod seat;
mod shared;
mod sitting;
mod slot;
mod spares;
mod ticket;
mod unhandled;
mod vacant;
mod worker;

pub(crate) use self::current::block_on_current;
pub(crate) use self::handoff::block_in_place;
pub(crate) use self::shared::{Config, Flavor, Hooks, Shared};
pub(crate) use self::sitting::start_workers;
pub(crate) use self::ticket::SEATS_MAX;
pub(crate) use self::unhandled::UntilPanic;
