//! The connections that are open, and what the closed ones have left.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;
use tapio::sync::Notify;

use crate::serve::report::{Counts, OpenConnection, Peer};
use crate::serve::settings::Settings;
use crate::serve::state::{Phase, State};

/// The list of a server's open connections.
///
/// The lock is taken when a connection opens or closes and for reports, never
/// per request, and nothing of the user's runs under it.
#[derive(Debug, Default)]
pub(super) struct Registry {
    list: Mutex<List>,
    /// One connection has closed since the server looked.
    closed: Notify,
    pub(super) failed: AtomicU64,
    pub(super) header_timeouts: AtomicU64,
    pub(super) write_timeouts: AtomicU64,
    pub(super) idle_timeouts: AtomicU64,
    pub(super) accept_errors: AtomicU64,
    pub(super) limit_pauses: AtomicU64,
}

#[derive(Debug, Default)]
struct List {
    open: Slab<Arc<State>>,
    connections: u64,
    /// Of closed connections; those of open ones are in their states.
    requests: u64,
    panics: u64,
    body_timeouts: u64,
}

impl Registry {
    /// Adds a connection; it is open until the entry drops.
    pub(super) fn open(self: &Arc<Self>, peer: Peer, settings: &Arc<Settings>) -> Entry {
        let state = Arc::new(State::new(peer, settings));
        let mut list = self.lock();
        list.connections += 1;
        let key = list.open.insert(Arc::clone(&state));
        drop(list);
        Entry {
            registry: Arc::clone(self),
            state,
            key,
        }
    }

    /// Waits until a connection closes. One that closed since the last call
    /// counts.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }

    pub(super) fn open_count(&self) -> usize {
        self.lock().open.len()
    }

    /// Counts the open connections that a stopping server waits for.
    pub(super) fn awaited_count(&self, upgraded_too: bool) -> usize {
        let list = self.lock();
        if upgraded_too {
            return list.open.len();
        }
        list.open
            .iter()
            .filter(|(_, state)| !state.is_out_of_http())
            .count()
    }

    /// Tells all open connections what to do.
    pub(super) fn order(&self, phase: Phase, upgraded_too: bool) {
        // The wakers are called without the lock: a waker is foreign code.
        let states: Vec<_> = self
            .lock()
            .open
            .iter()
            .map(|(_, state)| Arc::clone(state))
            .collect();
        for state in states {
            if upgraded_too || !state.is_out_of_http() {
                state.order(phase);
            }
        }
    }

    /// Describes the open connections, oldest first.
    pub(super) fn describe(&self) -> Vec<(OpenConnection, Arc<State>)> {
        let states: Vec<_> = self
            .lock()
            .open
            .iter()
            .map(|(_, state)| Arc::clone(state))
            .collect();
        let mut open: Vec<_> = states
            .into_iter()
            .map(|state| (state.describe(), state))
            .collect();
        open.sort_by_key(|(connection, _)| connection.since);
        open
    }

    pub(super) fn counts(&self) -> Counts {
        let list = self.lock();
        let mut requests = list.requests;
        let mut panics = list.panics;
        let mut body_timeouts = list.body_timeouts;
        for (_, state) in &list.open {
            requests += state.requests();
            panics += u64::from(state.panics());
            body_timeouts += u64::from(state.body_timeouts());
        }
        Counts {
            connections: list.connections,
            requests,
            panics,
            failed: self.failed.load(Ordering::Relaxed),
            header_timeouts: self.header_timeouts.load(Ordering::Relaxed),
            body_timeouts,
            write_timeouts: self.write_timeouts.load(Ordering::Relaxed),
            idle_timeouts: self.idle_timeouts.load(Ordering::Relaxed),
            accept_errors: self.accept_errors.load(Ordering::Relaxed),
            limit_pauses: self.limit_pauses.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        // Nothing that can panic runs under the lock, so it is never poisoned
        // in a broken state.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds one to a counter of the registry.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A connection's place on the list; dropping it takes the connection off.
#[derive(Debug)]
pub(super) struct Entry {
    registry: Arc<Registry>,
    state: Arc<State>,
    key: usize,
}

impl Entry {
    pub(super) fn state(&self) -> &Arc<State> {
        &self.state
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut list = self.registry.lock();
        let state = list.open.remove(self.key);
        list.requests += state.requests();
        list.panics += u64::from(state.panics());
        list.body_timeouts += u64::from(state.body_timeouts());
        drop(list);
        self.registry.closed.notify_one();
    }
}
