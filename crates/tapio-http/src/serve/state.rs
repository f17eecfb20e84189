//! What is known of one connection, shared between its task, its stream, its
//! requests and the server.
//!
//! Only the connection's own task writes to most of it, and the server reads it
//! for a report at any time. Nothing is decided by those numbers, so they are
//! relaxed; the exceptions are `phase`, which the server sets and the task
//! follows, and `in_flight`, `panics`, `body_timeouts` and the two of `answers`,
//! which the tasks of HTTP/2 streams change too.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use atomic_waker::AtomicWaker;
use http::{Method, Request};
use tapio::time::Instant;

use crate::rt::now;
use crate::serve::report::{Activity, LastRequest, OpenConnection, Peer, Protocol};
use crate::serve::settings::Settings;

/// How much of a path a report shows.
const PATH_BYTES_MAX: usize = 256;

/// What the server wants of a connection. It only ever goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// Serve.
    Running = 0,
    /// Finish what is being answered, then close.
    Draining = 1,
    /// Close now.
    Cut = 2,
}

/// No body is waited for.
const BODY_NONE: u8 = 0;
/// The service waits for the client to send more of it.
const BODY_AWAITED: u8 = 1;
/// It has waited for too long, and is to be told so.
const BODY_OVERDUE: u8 = 2;

/// The shared state of one connection.
#[derive(Debug)]
pub(super) struct State {
    peer: Peer,
    settings: Arc<Settings>,
    since: Instant,
    phase: AtomicU8,
    protocol: AtomicU8,
    is_upgraded: AtomicBool,
    is_send_blocked: AtomicBool,
    bytes_out: AtomicU64,
    /// How much of `bytes_out` the peer had not received when that was last
    /// asked, and whether it is to be asked again.
    unsent: AtomicU64,
    asks_unsent: AtomicBool,
    /// Over HTTP/1: what has come of bodies, and how the one that is read stands.
    body_received: AtomicU64,
    body: AtomicU8,
    body_timeouts: AtomicU32,
    /// Over HTTP/2: the response bodies that have given hyper a frame and were
    /// not asked for another, and the bytes that they have given.
    answers_held: AtomicU32,
    answer_bytes: AtomicU64,
    bytes_in: AtomicU64,
    /// `bytes_in` when the last response ended.
    bytes_answered: AtomicU64,
    requests: AtomicU64,
    in_flight: AtomicU32,
    panics: AtomicU32,
    last: Mutex<Last>,
    /// The task of the connection; after an upgrade, whoever reads.
    pub(super) task: AtomicWaker,
    /// After an upgrade, whoever writes.
    pub(super) writer: AtomicWaker,
}

/// The last request. The string keeps its memory from one request to the next.
#[derive(Debug, Default)]
struct Last {
    method: Method,
    path: String,
}

impl State {
    pub(super) fn new(peer: Peer, settings: &Arc<Settings>) -> Self {
        Self {
            peer,
            settings: Arc::clone(settings),
            since: now(),
            phase: AtomicU8::new(Phase::Running as u8),
            protocol: AtomicU8::new(Protocol::Undecided as u8),
            is_upgraded: AtomicBool::new(false),
            is_send_blocked: AtomicBool::new(false),
            bytes_out: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            asks_unsent: AtomicBool::new(false),
            body_received: AtomicU64::new(0),
            body: AtomicU8::new(BODY_NONE),
            body_timeouts: AtomicU32::new(0),
            answers_held: AtomicU32::new(0),
            answer_bytes: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_answered: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            panics: AtomicU32::new(0),
            last: Mutex::default(),
            task: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn phase(&self) -> Phase {
        // Acquire pairs with the release in `order`: who is woken by the order
        // sees it.
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Cut,
        }
    }

    /// Tells the connection what to do, and wakes whoever has to do it.
    pub(super) fn order(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::Release);
        self.task.wake();
        self.writer.wake();
    }

    pub(super) fn set_protocol(&self, protocol: Protocol) {
        self.protocol.store(protocol as u8, Ordering::Relaxed);
    }

    pub(super) fn is_http1(&self) -> bool {
        self.protocol.load(Ordering::Relaxed) == Protocol::Http1 as u8
    }

    pub(super) fn set_upgraded(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
    }

    /// Says whether the connection speaks another protocol by now; over HTTP/2,
    /// whether a stream of it has ever done so.
    pub(super) fn is_upgraded(&self) -> bool {
        self.is_upgraded.load(Ordering::Relaxed)
    }

    /// Says whether nothing is left of it that HTTP could end.
    pub(super) fn is_out_of_http(&self) -> bool {
        self.is_upgraded() && !self.is_busy()
    }

    pub(super) fn set_send_blocked(&self, is_blocked: bool) {
        self.is_send_blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// Counts bytes that were read. One stream reads at a time, so load and
    /// store need not be one step.
    pub(super) fn add_bytes_in(&self, count: usize) {
        let sum = self.bytes_in.load(Ordering::Relaxed) + count as u64;
        self.bytes_in.store(sum, Ordering::Relaxed);
    }

    pub(super) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Counts bytes that were written, in the same way.
    pub(super) fn add_bytes_out(&self, count: usize) {
        let sum = self.bytes_out.load(Ordering::Relaxed) + count as u64;
        self.bytes_out.store(sum, Ordering::Relaxed);
    }

    pub(super) fn is_send_blocked(&self) -> bool {
        self.is_send_blocked.load(Ordering::Relaxed)
    }

    /// Has the stream ask the kernel, when it is next polled.
    pub(super) fn ask_unsent(&self) {
        self.asks_unsent.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_unsent_asked(&self) -> bool {
        self.asks_unsent.load(Ordering::Relaxed)
    }

    pub(super) fn set_unsent(&self, count: u64) {
        self.unsent.store(count, Ordering::Relaxed);
        self.asks_unsent.store(false, Ordering::Relaxed);
    }

    /// Returns how much the peer had received when that was last asked.
    pub(super) fn bytes_received_by_peer(&self) -> u64 {
        let out = self.bytes_out.load(Ordering::Relaxed);
        out.saturating_sub(self.unsent.load(Ordering::Relaxed))
    }

    /// Notes that the service waits for a body, and returns whether it has done
    /// so for too long.
    pub(super) fn await_body(&self) -> bool {
        if self.body.load(Ordering::Relaxed) == BODY_OVERDUE {
            return true;
        }
        self.body.store(BODY_AWAITED, Ordering::Relaxed);
        false
    }

    pub(super) fn is_body_awaited(&self) -> bool {
        self.body.load(Ordering::Relaxed) != BODY_NONE
    }

    pub(super) fn body_received(&self) -> u64 {
        self.body_received.load(Ordering::Relaxed)
    }

    /// Counts bytes of bodies; one is read at a time.
    pub(super) fn add_body_received(&self, count: usize) {
        let sum = self.body_received() + count as u64;
        self.body_received.store(sum, Ordering::Relaxed);
    }

    pub(super) fn forget_body(&self) {
        self.body.store(BODY_NONE, Ordering::Relaxed);
    }

    /// Lets the service know that its body does not come; returns false if it
    /// was to know already.
    pub(super) fn fail_body(&self) -> bool {
        if self.body.load(Ordering::Relaxed) == BODY_OVERDUE {
            return false;
        }
        self.body.store(BODY_OVERDUE, Ordering::Relaxed);
        self.add_body_timeout();
        true
    }

    pub(super) fn body_timeouts(&self) -> u32 {
        self.body_timeouts.load(Ordering::Relaxed)
    }

    pub(super) fn add_body_timeout(&self) {
        self.body_timeouts.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a response's body has given a frame, or waits for the service.
    pub(super) fn set_answer_held(&self, is_held: bool) {
        if is_held {
            self.answers_held.fetch_add(1, Ordering::Relaxed);
        } else {
            self.answers_held.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn is_answer_held(&self) -> bool {
        self.answers_held.load(Ordering::Relaxed) > 0
    }

    pub(super) fn add_answer_bytes(&self, count: usize) {
        self.answer_bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn answer_bytes(&self) -> u64 {
        self.answer_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn panics(&self) -> u32 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(super) fn add_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Says whether bytes have come since the last response ended. Over HTTP/1
    /// they are the beginning of the next request.
    pub(super) fn has_unanswered_bytes(&self) -> bool {
        self.bytes_in.load(Ordering::Relaxed) > self.bytes_answered.load(Ordering::Relaxed)
    }

    /// Notes a request that has arrived; it is in flight until the guard drops.
    pub(super) fn begin_request<B>(self: &Arc<Self>, request: &Request<B>) -> InFlight {
        // Only the task of the connection receives requests.
        self.requests.store(self.requests() + 1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.method.clone_from(request.method());
        last.path.clear();
        let path = request.uri().path();
        last.path
            .push_str(&path[..path.floor_char_boundary(PATH_BYTES_MAX)]);
        drop(last);
        InFlight {
            state: Arc::clone(self),
        }
    }

    fn end_request(&self) {
        if self.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.bytes_answered
                .store(self.bytes_in.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    pub(super) fn last_request(&self) -> Option<LastRequest> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (self.requests() > 0).then(|| LastRequest {
            method: last.method.clone(),
            path: last.path.clone(),
        })
    }

    pub(super) fn activity(&self) -> Activity {
        if self.is_out_of_http() {
            Activity::Upgraded
        } else if self.is_send_blocked() {
            Activity::Sending
        } else if self.is_busy() {
            Activity::Busy
        } else if self.has_unanswered_bytes() && !self.is_http2() {
            Activity::Receiving
        } else {
            Activity::Idle
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.protocol.load(Ordering::Relaxed) == Protocol::Http2 as u8
    }

    /// Describes the connection as it is now.
    pub(super) fn describe(&self) -> OpenConnection {
        OpenConnection {
            peer: self.peer.clone(),
            since: self.since,
            open_for: self.since.elapsed(),
            protocol: match self.protocol.load(Ordering::Relaxed) {
                protocol if protocol == Protocol::Http1 as u8 => Protocol::Http1,
                protocol if protocol == Protocol::Http2 as u8 => Protocol::Http2,
                _ => Protocol::Undecided,
            },
            activity: self.activity(),
            requests: self.requests(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            last_request: self.last_request(),
            dropped: false,
        }
    }
}

/// A request that is being answered, until its response's last byte was handed
/// to hyper or nobody wants it any more.
#[derive(Debug)]
pub(super) struct InFlight {
    state: Arc<State>,
}

impl InFlight {
    pub(super) fn state(&self) -> &Arc<State> {
        &self.state
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.end_request();
    }
}

/// Follows the orders that a connection's task gets.
///
/// The waker is registered when it is new and after each order, which takes it,
/// rather than at every poll.
#[derive(Debug, Default)]
pub(super) struct Orders {
    seen: Option<(Waker, Phase)>,
}

impl Orders {
    /// Returns the phase; a later order wakes the task of `waker`.
    pub(super) fn poll(&mut self, state: &State, waker: &Waker) -> Phase {
        let phase = state.phase();
        match &self.seen {
            Some((seen, seen_phase)) if *seen_phase == phase && seen.will_wake(waker) => phase,
            _ => {
                state.task.register(waker);
                // What was seen before is noted: if an order came in between,
                // it may have taken the waker, and the next poll registers
                // again. It may also have come too early to find the waker, so
                // the phase is read once more.
                self.seen = Some((waker.clone(), phase));
                state.phase()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Wakes {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn every_order_is_seen_and_wakes() {
        let state = State::new(Peer::Unnamed, &Arc::default());
        let mut orders = Orders::default();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        assert_eq!(orders.poll(&state, &waker), Phase::Running);
        assert_eq!(orders.poll(&state, &waker), Phase::Running);
        for (count, order) in [(1, Phase::Draining), (2, Phase::Cut)] {
            state.order(order);
            assert_eq!(wakes.count(), count);
            assert_eq!(orders.poll(&state, &waker), order);
        }
        // There is no way back.
        state.order(Phase::Draining);
        assert_eq!(orders.poll(&state, &waker), Phase::Cut);
    }

    #[test]
    fn a_new_task_is_woken_instead_of_the_old() {
        let state = State::new(Peer::Unnamed, &Arc::default());
        let mut orders = Orders::default();
        let [old, new] = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
        for wakes in [&old, &new] {
            orders.poll(&state, &Waker::from(Arc::clone(wakes)));
        }
        state.order(Phase::Draining);
        assert_eq!((old.count(), new.count()), (0, 1));
    }

    #[test]
    fn a_long_path_is_cut() {
        let state = Arc::new(State::new(Peer::Unnamed, &Arc::default()));
        let path = format!("/{}", "x".repeat(500));
        let request = Request::post(format!("{path}?secret=1")).body(()).unwrap();
        let in_flight = state.begin_request(&request);
        let last = state.last_request().unwrap();
        assert_eq!(last.path.len(), PATH_BYTES_MAX);
        assert!(path.starts_with(&last.path));
        assert_eq!(state.activity(), Activity::Busy);
        drop(in_flight);
        assert_eq!(state.activity(), Activity::Idle);
    }
}
