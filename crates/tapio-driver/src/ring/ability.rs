//! What a kernel's `io_uring` must offer, one ability at a time.

use std::fmt;
use std::str::FromStr;

/// One thing that the ring driver needs of the kernel. Each is probed by
/// itself, never concluded from a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ability {
    /// `io_uring_setup` succeeds at all.
    Setup,
    /// A wait takes a timeout without a timeout operation (Linux 5.11).
    WaitTimeout,
    /// Completions are never dropped when the queue is full (Linux 5.5).
    NoDrop,
    /// Successful removals post no completion (Linux 5.17).
    QuietSuccess,
    /// Completions are delivered in batches, when their thread asks for them
    /// (Linux 6.1).
    DeferTaskrun,
    /// `POLL_ADD`, as an operation.
    PollAdd,
    /// `ASYNC_CANCEL`, as an operation.
    AsyncCancel,
    /// A `POLL_ADD` that reports again and again (Linux 5.13).
    MultishotPoll,
}

impl Ability {
    /// All of them, in the order in which they are probed.
    pub const ALL: [Ability; 8] = [
        Ability::Setup,
        Ability::WaitTimeout,
        Ability::NoDrop,
        Ability::QuietSuccess,
        Ability::DeferTaskrun,
        Ability::PollAdd,
        Ability::AsyncCancel,
        Ability::MultishotPoll,
    ];

    /// Its name in messages and in `TAPIO_RING_WITHOUT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Ability::Setup => "setup",
            Ability::WaitTimeout => "wait-timeout",
            Ability::NoDrop => "no-drop",
            Ability::QuietSuccess => "quiet-success",
            Ability::DeferTaskrun => "defer-taskrun",
            Ability::PollAdd => "poll-add",
            Ability::AsyncCancel => "async-cancel",
            Ability::MultishotPoll => "multishot-poll",
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
