//! The load generator: one thread, epoll, no runtime.
//!
//! [`plan`] says what to do, [`client`] is one connection, [`engine`] is the loop
//! that drives all of them, [`stall`] adds the requests that block the server.

pub(crate) mod client;
mod engine;
mod idle;
mod plan;
mod stall;

pub(crate) use engine::run;
pub(crate) use idle::hold;
pub(crate) use plan::LoadPlan;
pub(crate) use stall::overlap_ns;
