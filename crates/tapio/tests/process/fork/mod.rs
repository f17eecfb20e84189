//! A child by `fork` leaves its parent's runtime alone, is told so when it uses
//! it, and has a working one when it builds its own.
//!
//! - `rig`: children, and what they are asked
//! - `own`: a runtime of the child's own, and the parent's beside it
//! - `back`: children that come back to their parent's tasks

#![expect(unsafe_code, reason = "`fork`")]

mod back;
mod own;
mod rig;
