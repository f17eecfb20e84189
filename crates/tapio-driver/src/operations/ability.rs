//! What a kernel's `io_uring` must offer, one ability at a time.

use std::fmt;
use std::str::FromStr;

/// One thing that a ring for operations needs of the kernel. Each is probed by
/// itself, never concluded from a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ability {
    /// `io_uring_setup` succeeds at all.
    Setup,
    /// Completions are never dropped when the queue is full (Linux 5.5).
    NoDrop,
    /// `OPENAT2`, as an operation (Linux 5.6).
    Open,
    /// `READ`, as an operation (Linux 5.6).
    Read,
    /// `WRITE`, as an operation (Linux 5.6).
    Write,
    /// `ASYNC_CANCEL`, as an operation (Linux 5.5).
    AsyncCancel,
}

impl Ability {
    /// All of them, in the order in which they are probed.
    pub const ALL: [Ability; 6] = [
        Ability::Setup,
        Ability::NoDrop,
        Ability::Open,
        Ability::Read,
        Ability::Write,
        Ability::AsyncCancel,
    ];

    /// Its name in messages and in `TAPIO_RING_WITHOUT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Ability::Setup => "setup",
            Ability::NoDrop => "no-drop",
            Ability::Open => "open",
            Ability::Read => "read",
            Ability::Write => "write",
            Ability::AsyncCancel => "async-cancel",
        }
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Ability {
    type Err = String;

    fn from_str(name: &str) -> Result<Ability, String> {
        Ability::ALL
            .into_iter()
            .find(|ability| ability.name() == name)
            .ok_or_else(|| format!("unknown ability {name:?}"))
    }
}
