//! Tests that need a process of their own, because they count what a process
//! holds, change what it may do, or end it. Each starts this binary again.
//!
//! - `rig`: runtimes to test, and what they are made to do
//! - `refusal`: kernels, filters and limits that give no ring
//! - `leaks`: runtimes that end in the middle of everything
//! - `levels`: how loud a report is, and how long a stall was
//! - `memory`: what a report costs
//! - `drops`: futures that are dropped at any poll
//! - `scene`: every kind of operation, in flight at once
//! - `cpu`: the pool for computation, which is one for the process
//! - `idle`: who has nothing to do does nothing
//! - `busy`: the guard where CPUs, descriptors or time are short
//! - `again`: a stall that goes on, as it is then
//! - `calls`: the guard changes nothing for those that it looks at
//! - `capture`: the guard's signal beside a program's own
//! - `starve`: new tasks that block do not starve those there were
//! - `stop`: a server that is gone is gone
//! - `held`: tasks that are stuck with what everybody needs
//! - `scarce`: stuck tasks where threads, memory or descriptors are not to be had
//! - `hoard`: an allocator that a test may keep to itself
//! - `sites`: calls that a poll makes on other threads, by who asked for them
//! - `storm`: tasks that block, again and again, and what must not suffer
//! - `fork`: a child has no part in its parent's runtime
//! - `advice`: what the guard makes of a whole program

mod advice;
mod again;
mod busy;
mod calls;
mod capture;
mod cpu;
mod drops;
mod fork;
mod held;
mod hoard;
mod idle;
mod leaks;
mod levels;
mod memory;
mod refusal;
mod rig;
mod scarce;
mod scene;
mod sites;
mod starve;
mod stop;
mod storm;

#[path = "../../../tapio-driver/tests/support/child.rs"]
mod child;
#[path = "../../../tapio-driver/tests/support/count.rs"]
mod count;
#[path = "../../../tapio-driver/tests/support/limits.rs"]
mod limits;
#[path = "../../../tapio-driver/tests/support/seccomp.rs"]
mod seccomp;
