//! Timers: a hierarchical wheel, one for each worker.
//!
//! After G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels"
//! (SOSP 1987, scheme 7): time is counted in ticks of a millisecond and a
//! tick is read as digits to the base 64. A timer waits at the level of the
//! highest digit in which its tick differs from the wheel's own time, in the
//! slot that this digit names. When the wheel's time reaches a slot, the
//! timers in it move down (they *cascade*); those whose tick has come are due.
//!
//! ```text
//!            slot = digit of the tick
//! level 0    0 1 2 ... 63      1 ms each
//! level 1    0 1 2 ... 63     64 ms each
//!   ...
//! level 5    0 1 2 ... 63   12.4 days each
//! far        one list         beyond the 2.2 years that the levels tell apart
//! due        one list         reached, not yet handed out
//! ```
//!
//! That rule makes the place of a timer a function of its tick and the wheel's
//! time, so nobody has to remember it; and it makes the first occupied slot of
//! the lowest occupied level the next one to be reached, so two
//! `trailing_zeros` find it and empty ticks cost nothing.
//!
//! `ticks` counts, `entries` stores, `slots` places, `timers` is the wheel.

mod entries;
mod slots;
mod ticks;
mod timers;

#[cfg(test)]
mod tests;

pub(crate) use self::timers::{Outcome, Refused, TimerKey, Wheel};
