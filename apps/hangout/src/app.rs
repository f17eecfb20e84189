//! What every handler and every socket shares.

use std::sync::Arc;

use tapio::runtime::Handle;
use tapio::sync::watch;

use crate::config::Config;
use crate::http::Hosts;
use crate::hub::{Hub, Ticket};
use crate::protocol::LimitsView;
use crate::store::Store;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) store: Store<Ticket>,
    /// Becomes true when the server is to stop.
    pub(crate) stopping: watch::Receiver<bool>,
    /// axum finishes an upgrade on whatever runtime it finds; by this handle the socket that
    /// comes of it lives on ours.
    pub(crate) runtime: Handle,
}

impl App {
    pub(crate) fn limits_view(&self) -> LimitsView {
        let limits = &self.config.limits;
        LimitsView {
            message_chars: limits.message_chars,
            name_chars: limits.name_chars,
            room_chars: limits.room_chars,
            frame_bytes: limits.frame_bytes,
            joined: limits.joined,
            rate: limits.rate,
            burst: limits.burst,
            page: limits.page,
        }
    }
}

/// Name and version, as programs are told.
pub(crate) const SERVER: &str = concat!("hangout ", env!("CARGO_PKG_VERSION"));
