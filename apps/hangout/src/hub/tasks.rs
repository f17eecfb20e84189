//! The two tasks that move things through the hub.

use std::sync::Arc;
use std::time::Duration;

use tapio::sync::mpsc;

use super::{Hub, Ticket};
use crate::store::Written;

/// Changes of presence gather this long, so that a crowd arriving is a few events and not one
/// for each pair of people.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(150);

/// Publishes all that the store has made durable, in its order, until the store has closed.
///
/// # Cancel safety
///
/// Dropped early, outcomes stay in the channel untold.
pub(crate) async fn publish_all(hub: Arc<Hub>, mut outcomes: mpsc::Receiver<Vec<Written<Ticket>>>) {
    while let Some(batch) = outcomes.recv().await {
        for written in batch {
            hub.publish(written);
            // The readers that this woke get their turn before the next message, so that queues
            // stay short and a full one does mean a slow reader and not a hasty writer.
            tapio::task::yield_now().await;
        }
    }
}

/// Announces changes of presence and of the list of rooms, a few times a second at most and not
/// at all while nothing changes.
///
/// # Cancel safety
///
/// Dropped early, changes stay untold.
pub(crate) async fn announce_changes(hub: Arc<Hub>) {
    loop {
        hub.changed.notified().await;
        tapio::time::sleep(ANNOUNCE_EVERY).await;
        hub.announce();
    }
}
