//! What can be set on a server.

use std::io;
use std::panic::Location;
use std::time::Duration;

use hyper::server::conn::{http1, http2};

use crate::rt::TapioExecutor;

/// All that a connection and the accepting need to know.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Where [`serve`](super::serve) was called.
    pub(super) served_at: &'static Location<'static>,
    pub(super) with_http1: bool,
    pub(super) with_http2: bool,
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<TapioExecutor>,
    pub(super) header_read_timeout: Option<Duration>,
    pub(super) body_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    /// In bytes a second.
    pub(super) min_rate: u64,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) connections_max: usize,
    pub(super) nodelay: bool,
    pub(super) drain_timeout: Option<Duration>,
    pub(super) waits_for_upgraded: bool,
}

impl Default for Settings {
    #[track_caller]
    fn default() -> Self {
        let mut http2 = http2::Builder::new(TapioExecutor::new());
        // WebSocket over HTTP/2 needs it, and nothing else notices.
        http2.enable_connect_protocol();
        Self {
            served_at: Location::caller(),
            with_http1: true,
            with_http2: true,
            http1: http1::Builder::new(),
            http2,
            header_read_timeout: Some(Duration::from_secs(30)),
            body_timeout: Some(Duration::from_secs(30)),
            write_timeout: Some(Duration::from_secs(30)),
            min_rate: 256,
            idle_timeout: Some(Duration::from_secs(75)),
            connections_max: usize::MAX,
            nodelay: true,
            drain_timeout: Some(Duration::from_secs(10)),
            waits_for_upgraded: true,
        }
    }
}

impl Settings {
    /// Returns how much a peer has to move in this time.
    pub(super) fn needed_within(&self, time: Duration) -> u64 {
        let bytes = u128::from(self.min_rate) * time.as_millis() / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
    }

    /// Refuses what cannot work, before anything is accepted.
    pub(super) fn check(&self) -> io::Result<()> {
        let wrong = if !self.with_http1 && !self.with_http2 {
            "HTTP/1 and HTTP/2 are both turned off: there is nothing to serve"
        } else if self.connections_max == 0 {
            "the limit of connections is 0: there is nothing to serve"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, wrong))
    }
}
