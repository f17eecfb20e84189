//! Who is measured. No workload is described here: a peer binds, accepts and
//! spawns, and leaves the rest to the macros of [`crate::workloads`].
//!
//! The floors ([`epoll`], [`uring`], [`executor`]) are no runtimes: they are the
//! least that any runtime has to do.

#[cfg(feature = "compio-peer")]
mod compio;
mod epoll;
mod executor;
#[cfg(feature = "glommio-peer")]
mod glommio;
#[cfg(any(feature = "compio-peer", feature = "monoio-peer"))]
mod local_channel;
mod local_task;
#[cfg(feature = "monoio-peer")]
mod monoio;
mod programs;
mod server;
#[cfg(feature = "smol-peer")]
mod smol;
#[cfg(feature = "tapio-peer")]
mod tapio;
#[cfg(feature = "tokio-peer")]
mod tokio;
mod uring;
mod wheel;
mod yield_once;

pub(crate) use programs::Program;
pub(crate) use server::Server;

use crate::workloads::{Cost, Plan, Task};

/// Serves until the process ends.
type Serve = fn(&Server) -> Result<(), String>;
/// Runs a task workload and gives the cost of an operation.
type Run = fn(Task, Plan) -> Result<Cost, String>;

/// One contestant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The package whose version is reported; empty for our own code.
    pub(crate) package: &'static str,
    pub(crate) serve: Option<Serve>,
    pub(crate) run: Option<Run>,
    /// What else it can do: `http`, `stall`, `chat`; `share-buffer` if its connections
    /// have no buffer of their own.
    pub(crate) can: &'static [&'static str],
    /// A program of its own serves for it.
    pub(crate) program: Option<&'static Program>,
    /// It is the peer of this name without its guard, and measured beside it only.
    pub(crate) unguarded: Option<&'static str>,
}

impl Peer {
    /// What the constants of the peers begin with.
    pub(crate) const NOBODY: Self = Self {
        name: "",
        package: "",
        serve: None,
        run: None,
        can: &[],
        program: None,
        unguarded: None,
    };

    /// Whether it, or a program in its name, serves `ability`.
    pub(crate) fn serves(&self, ability: &str) -> bool {
        (self.serve.is_some() || self.program.is_some()) && self.can.contains(&ability)
    }
}

/// Every contestant of this build, in the order of the tables.
pub(crate) const ALL: &[Peer] = &[
    #[cfg(feature = "tapio-peer")]
    tapio::TAPIO,
    #[cfg(feature = "tapio-peer")]
    tapio::MT1,
    #[cfg(feature = "tapio-peer")]
    tapio::MT2,
    #[cfg(feature = "tapio-peer")]
    tapio::UNGUARDED,
    #[cfg(feature = "tapio-peer")]
    tapio::MT1_UNGUARDED,
    #[cfg(feature = "tokio-peer")]
    tokio::CURRENT_THREAD,
    #[cfg(feature = "tokio-peer")]
    tokio::MT1,
    #[cfg(feature = "tokio-peer")]
    tokio::MT2,
    #[cfg(all(feature = "tokio-peer", tokio_unstable))]
    tokio::EAGER,
    #[cfg(not(all(feature = "tokio-peer", tokio_unstable)))]
    programs::TOKIO_EAGER,
    #[cfg(feature = "monoio-peer")]
    monoio::PEER,
    #[cfg(feature = "compio-peer")]
    compio::PEER,
    #[cfg(feature = "glommio-peer")]
    glommio::PEER,
    #[cfg(feature = "smol-peer")]
    smol::PEER,
    #[cfg(feature = "smol-peer")]
    smol::MT2,
    epoll::PEER,
    uring::PEER,
    executor::PEER,
    programs::GO,
    programs::HANGOUT,
    programs::HANGOUT_TOKIO,
    programs::HANGOUT_TOKIO_EAGER,
];

/// Finds a contestant by its name.
///
/// # Errors
/// Nobody of that name is in this build.
pub(crate) fn find(name: &str) -> Result<&'static Peer, String> {
    ALL.iter().find(|peer| peer.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|peer| peer.name).collect();
        format!(
            "no peer in this build is called {name:?}: {}",
            names.join(", ")
        )
    })
}
