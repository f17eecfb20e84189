//! The conformance suite: every promise of the driver contract, through the
//! public API.
//!
//! - `rig`: a driver under test, and lines to watch with it
//! - `edges`, `limits`, `release`, `waiters`: one promise after the other
//! - `many`: more watches than one call to the kernel tells of
//! - `owners`: drivers change hands
//! - `end`: shutting down and dropping, counted in processes of their own
//! - `random`: any sequence of operations, against a naive model
//! - `refusal`: kernels, filters and limits that give no ring, or no driver

mod edges;
mod end;
mod limits;
mod many;
mod owners;
mod random;
mod refusal;
mod release;
mod rig;
mod waiters;

#[path = "../support/child.rs"]
mod child;
#[path = "../support/count.rs"]
mod count;
#[path = "../support/limits.rs"]
mod limits_of_process;
#[path = "../support/seccomp.rs"]
mod seccomp;
