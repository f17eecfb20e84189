//! `local-sync`'s channel: for the runtimes that have one thread and no channel.

use local_sync::mpsc::bounded::{Rx, Tx};

use crate::contract::{Receiver, Sender};

impl Sender for Tx<u64> {
    async fn send(&mut self, value: u64) {
        // The receiver outlives the exchange.
        let _ = Tx::send(self, value).await;
    }
}

impl Receiver for Rx<u64> {
    async fn recv(&mut self) -> Option<u64> {
        Rx::recv(self).await
    }
}
