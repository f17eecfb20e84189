//! Locks of the standard library, as far as a stuck thread tells of them.

use std::fmt;

use super::Culprit;

/// A lock of the standard library that a stuck thread has waited for, for a
/// second or longer.
///
/// Such a lock does not say who holds it. What can be seen is which lock a
/// thread waits for, and whether its address is on the stack of another one,
/// as it is while that has a guard.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StdLock {
    /// `Mutex` or `RwLock`.
    pub kind: &'static str,
    /// Where it is in memory.
    pub address: u64,
    /// Other stuck threads, if they make a circle with this one: each has on
    /// its stack the lock that the one before it waits for, and this one the
    /// lock that the last waits for. They were all found waiting once more
    /// when that was seen.
    pub circle: Vec<StdLockParty>,
}

/// One that is in a [circle](StdLock::circle).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StdLockParty {
    /// Whose code waits.
    pub culprit: Culprit,
    /// What the thread is to the runtime.
    pub role: String,
    /// `Mutex` or `RwLock`.
    pub kind: &'static str,
    /// Where the lock that it waits for is in memory.
    pub address: u64,
    /// Where the user's code waits, as `file:line`, if known.
    pub place: Option<String>,
}

impl fmt::Display for StdLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "deadlock, as it seems: this waits for the std::sync::{} at {:#x}",
            self.kind, self.address
        )?;
        for party in &self.circle {
            write!(f, ", {party}")?;
        }
        f.write_str(
            "; each has on its stack the lock that another of them waits for, and will not go on \
             by itself",
        )
    }
}

impl fmt::Display for StdLockParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on {} for the {} at {:#x}",
            self.culprit, self.role, self.kind, self.address,
        )?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}
