//! Stopping: let connections finish, and say which did not.

use std::sync::Arc;
use std::time::Duration;

use tapio::time::timeout;
use tracing::{info, warn};

use crate::rt::now;
use crate::serve::registry::Registry;
use crate::serve::report::Report;
use crate::serve::settings::Settings;
use crate::serve::state::Phase;

/// How long connections that were cut may take to be gone. They go when their
/// task is next polled, so only a blocked thread takes longer.
const CUT_WAIT: Duration = Duration::from_secs(1);

/// More open connections than this are not logged one by one. The report has
/// them all.
const LOGGED_MAX: usize = 20;

/// Asks all connections to end, waits for them until the deadline, and cuts the
/// rest.
pub(super) async fn drain(registry: &Arc<Registry>, settings: &Settings) -> Report {
    let began = now();
    info!(
        open = registry.open_count(),
        deadline = settings.drain_timeout.map(tracing::field::debug),
        "stopping: no new connections, waiting for the open ones",
    );
    registry.order(Phase::Draining, true);

    let all_closed = closed(registry, settings.waits_for_upgraded);
    match settings.drain_timeout {
        // Without a deadline that the clock can express, it is awaited for ever.
        Some(deadline) => drop(timeout(deadline, all_closed).await),
        None => all_closed.await,
    }

    let mut open = Vec::new();
    let left = registry.describe();
    if !left.is_empty() {
        registry.order(Phase::Cut, settings.waits_for_upgraded);
        drop(timeout(CUT_WAIT, closed(registry, settings.waits_for_upgraded)).await);
        let now_open = registry.describe();
        for (mut connection, state) in left {
            connection.dropped = !now_open.iter().any(|(_, open)| Arc::ptr_eq(open, &state));
            open.push(connection);
        }
        for connection in open.iter().take(LOGGED_MAX) {
            warn!(
                dropped = connection.dropped,
                "still open when stopping: {connection}"
            );
        }
        if open.len() > LOGGED_MAX {
            warn!("still open when stopping: {} more", open.len() - LOGGED_MAX);
        }
    }
    Report {
        counts: registry.counts(),
        drained_in: began.elapsed(),
        open,
    }
}

async fn closed(registry: &Registry, upgraded_too: bool) {
    while registry.awaited_count(upgraded_too) > 0 {
        registry.closed().await;
    }
}
