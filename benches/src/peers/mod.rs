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
    /// What else it can do: `http`, `stall`; `share-buffer` if its connections
    /// have no buffer of their own.
    pub(crate) can: &'static [&'static str],
}

/// Every contestant of this build, in the order of the tables.
pub(crate) const ALL: &[Peer] = &[
    #[cfg(feature = "tapio-peer")]
    tapio::RING,
    #[cfg(feature = "tapio-peer")]
    tapio::POLL,
    #[cfg(feature = "tapio-peer")]
    tapio::RING_MT1,
    #[cfg(feature = "tapio-peer")]
    tapio::POLL_MT1,
    #[cfg(feature = "tapio-peer")]
    tapio::RING_MT2,
    #[cfg(feature = "tapio-peer")]
    tapio::POLL_MT2,
    #[cfg(feature = "tokio-peer")]
    tokio::CURRENT_THREAD,
    #[cfg(feature = "tokio-peer")]
    tokio::MT1,
    #[cfg(feature = "tokio-peer")]
    tokio::MT2,
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
