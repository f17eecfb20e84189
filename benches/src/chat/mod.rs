//! People in a chat, and what they notice when the server's threads are blocked.
//!
//! Speaks as much of hangout's protocol (`apps/hangout/README.md`) as talking takes, from one
//! thread without a runtime, like the other load generator. [`plan`] says what to do, [`frame`] is
//! WebSocket, [`person`] one connection, [`door`] the requests of plain HTTP, [`crowd`] the loop
//! that drives them all, [`noticed`] what comes of it.

mod crowd;
mod door;
mod frame;
mod noticed;
mod person;
mod plan;

pub(crate) use crowd::run;
pub(crate) use plan::ChatPlan;
