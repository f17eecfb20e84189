//! Peers that are programs of their own: what is not Rust, what needs a build of its own, and
//! whole servers.
//!
//! `cargo xtask bench` builds them and tells the suite where they are.

use super::Peer;

/// A program that serves.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its name in `--programs NAME=PATH,…`.
    pub(crate) key: &'static str,
    /// What it is told beyond what every peer is told.
    pub(crate) args: &'static [&'static str],
    /// Why it may be missing, and what to do then.
    pub(crate) missing: &'static str,
}

#[cfg(not(all(feature = "tokio-peer", tokio_unstable)))]
pub(crate) const TOKIO_EAGER: Peer = Peer {
    name: "tokio-eager",
    package: "tokio",
    can: &["stall"],
    program: Some(&Program {
        key: "tokio-eager",
        args: &[],
        missing: "it needs a build of its own, with `--cfg tokio_unstable`, which `cargo xtask \
                  bench` makes",
    }),
    ..Peer::NOBODY
};

pub(crate) const GO: Peer = Peer {
    name: "go",
    can: &["stall"],
    program: Some(&Program {
        key: "go",
        args: &[],
        missing: "it was not built: `cargo xtask bench` does that where there is a `go` command \
                  (Debian's package golang-go)",
    }),
    ..Peer::NOBODY
};

const HANGOUT_MISSING: &str = "it was not built: `cargo xtask bench chat` does that";

pub(crate) const HANGOUT: Peer = Peer {
    name: "hangout",
    can: &["chat"],
    program: Some(&Program {
        key: "hangout",
        args: &[],
        missing: HANGOUT_MISSING,
    }),
    ..Peer::NOBODY
};
pub(crate) const HANGOUT_TOKIO: Peer = Peer {
    name: "hangout-tokio",
    program: Some(&Program {
        key: "hangout-tokio",
        args: &[],
        missing: HANGOUT_MISSING,
    }),
    ..HANGOUT
};
pub(crate) const HANGOUT_TOKIO_EAGER: Peer = Peer {
    name: "hangout-tokio-eager",
    program: Some(&Program {
        key: "hangout-tokio-eager",
        args: &[],
        missing: HANGOUT_MISSING,
    }),
    ..HANGOUT
};
