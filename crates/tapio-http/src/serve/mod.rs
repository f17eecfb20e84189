//! Serving HTTP: accepting, the connections' tasks, stopping.
//!
//! Reading order: [`service`] (what can be served) and `listener` (over what),
//! `accept` (the loop), `connection` (the task of one connection) with `protocol`,
//! `stream`, `watched`, `body`, `patience` and `pace` around hyper's part of it, `state` and `registry`
//! (what is known of the connections), `graceful` (the stop) and `report`.
//!
//! Invariants:
//! - A connection is open exactly as long as its `Stream` exists, upgraded or
//!   not; that is what the limit counts and what a stop waits for.
//! - One connection's failure or panic reaches no other.
//! - The path of a request takes no lock that another connection takes.

mod accept;
mod body;
mod builder;
mod connection;
mod graceful;
mod listener;
mod pace;
mod patience;
mod protocol;
mod registry;
mod report;
pub mod service;
mod settings;
mod state;
mod stream;
mod unsent;
mod watched;

pub use body::{Body, RequestBody, Watching};
pub use builder::{Monitor, Serve, Serving, serve};
pub use listener::{Listener, ListenerExt, MapAddr, TapIo};
pub use report::{Activity, Counts, LastRequest, OpenConnection, Peer, Protocol, Report};
