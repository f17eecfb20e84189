//! The server and hyper's runtime traits, on every driver.
//!
//! Clients are plain blocking sockets of the standard library where the bytes on
//! the wire matter, and hyper's own clients where the protocol does.

mod graceful;
mod http1;
mod http2;
mod limit;
mod malformed;
mod panics;
mod runtime_traits;
mod services;
mod sites;
mod slow_clients;
mod support;
mod timeouts;
mod unix;
mod upgrade;
mod websocket;
