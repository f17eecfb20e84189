//! hangout from outside: the real binary, on a port of its own, with a database of its own.
//!
//! The clients are blocking ones, so that no runtime takes part but the server's. The server
//! inherits `TAPIO_DRIVER`, so the same tests run on either driver.

mod api;
mod browser;
mod chaos;
mod chromium;
mod cli;
mod client;
mod durability;
mod hosts;
mod limits;
mod server;
mod slow_clients;
mod socket;
mod stops;
mod storage;
