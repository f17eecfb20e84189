//! The conformance suite: every promise of the driver contract, on every
//! driver and lane, through the public API.
//!
//! - `rig`: a driver under test, and lines to watch with it
//! - `edges`, `limits`, `release`, `waiters`: one promise after the other
//! - `many`: more watches than a ring has entries
//! - `owners`: drivers change hands
//! - `end`: shutting down and dropping, counted in processes of their own
//! - `random`: any sequence of operations, against a naive model

mod edges;
mod end;
mod limits;
mod many;
mod owners;
mod random;
mod release;
mod rig;
mod waiters;

#[path = "../support/child.rs"]
mod child;
#[path = "../support/count.rs"]
mod count;
