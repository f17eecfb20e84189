//! The conversation with one named connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::close_code;
use tapio::sync::mpsc;
use tapio::time::Interval;

use super::wire::{Incoming, Wire};
use super::{End, text_of};
use crate::app::{App, SERVER};
use crate::hub::{Outgoing, Ticket};
use crate::protocol::{Code, Event, Problem, Request, RoomSummary};
use crate::rate::Bucket;
use crate::room::ConnId;
use crate::store::{Action, ReadError, Span};
use crate::text;

pub(super) struct Session<'a> {
    app: &'a App,
    wire: Wire,
    id: ConnId,
    name: String,
    queue: mpsc::Receiver<Outgoing>,
    rooms: Vec<RoomSummary>,
    /// For each joined room the newest message that this connection has, so that each is sent
    /// once although history and live messages overlap.
    seen: HashMap<Arc<str>, u64>,
    /// Requests that the store has not answered yet.
    unanswered: usize,
    bucket: Bucket,
    /// Frames over the rate, one after the other.
    strikes: usize,
    ping: Option<Interval>,
    /// Pings since the peer was last heard.
    silent_pings: u32,
}

/// What happens next at a connection.
enum Next {
    Frame(Incoming),
    Queued(Option<Outgoing>),
    PingDue,
}

/// So many queued events are written in one go, before requests get a turn again.
const WRITES_AT_ONCE: usize = 64;

impl<'a> Session<'a> {
    pub(super) fn new(app: &'a App, mut wire: Wire, name: &str, bucket: Bucket) -> Self {
        let (link, rooms) = app.hub.connect(name);
        wire.watch_queue(link.too_slow);
        let ping = app.config.limits.ping().map(|every| {
            let first = tapio::time::Instant::now() + every;
            tapio::time::interval_at(first, every)
        });
        Self {
            app,
            wire,
            id: link.id,
            name: name.to_owned(),
            queue: link.queue,
            rooms,
            seen: HashMap::new(),
            unanswered: 0,
            bucket,
            strikes: 0,
            ping,
            silent_pings: 0,
        }
    }

    /// Talks until one side ends it.
    pub(super) async fn run(mut self) {
        let end = match self.welcome().await {
            Ok(()) => self.talk().await,
            Err(end) => end,
        };
        if matches!(end, End::Stopping) {
            // Stays in the hub, which has to name those who do not hear the goodbye.
            self.settle().await;
        } else {
            self.app.hub.disconnect(self.id);
        }
        self.wire.goodbye(end, &self.app.config.limits).await;
    }

    async fn welcome(&mut self) -> Result<(), End> {
        let rooms = std::mem::take(&mut self.rooms);
        let limits = self.app.limits_view();
        let welcome = Event::Welcome {
            name: &self.name,
            rooms: &rooms,
            limits,
            server: SERVER,
        };
        self.wire.write(welcome.to_json().into()).await?;
        self.wire.flush().await
    }

    async fn talk(&mut self) -> End {
        loop {
            let next = tapio::select! {
                incoming = self.wire.read() => incoming.map(Next::Frame),
                outgoing = self.queue.recv() => Ok(Next::Queued(outgoing)),
                () = tick(&mut self.ping) => Ok(Next::PingDue),
            };
            let done = match next {
                Ok(Next::Frame(incoming)) => self.handle(incoming).await,
                Ok(Next::Queued(Some(outgoing))) => self.pass_on(outgoing).await,
                // Our way out of the hub was taken from us; the reason is about to be told.
                Ok(Next::Queued(None)) => Err(self.wire.interrupted().await),
                Ok(Next::PingDue) => self.ping().await,
                Err(end) => Err(end),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Writes an event and those right behind it, then flushes once.
    async fn pass_on(&mut self, first: Outgoing) -> Result<(), End> {
        let mut next = Some(first);
        for _ in 0..WRITES_AT_ONCE {
            let Some(outgoing) = next.take() else { break };
            if self.is_wanted(&outgoing) {
                self.wire.write(text_of(outgoing)).await?;
            }
            next = self.queue.try_recv().ok();
        }
        if let Some(outgoing) = next
            && self.is_wanted(&outgoing)
        {
            self.wire.write(text_of(outgoing)).await?;
        }
        self.wire.flush().await
    }

    /// Keeps the books for an event; false if it is for a room left since, or already sent.
    fn is_wanted(&mut self, outgoing: &Outgoing) -> bool {
        match outgoing {
            Outgoing::Event(_) => true,
            Outgoing::Answer(_) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                true
            }
            Outgoing::Message { room, seq, .. } => match self.seen.get_mut(room) {
                Some(seen) if *seen < *seq => {
                    *seen = *seq;
                    true
                }
                _ => false,
            },
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.silent_pings >= 2 {
            return Err(End::Close(
                close_code::AWAY,
                "two pings went unanswered".to_owned(),
            ));
        }
        self.silent_pings += 1;
        self.wire.ping().await
    }

    async fn handle(&mut self, incoming: Incoming) -> Result<(), End> {
        self.silent_pings = 0;
        let over_rate = self.bucket.take(Instant::now()).err();
        if let Some(wait) = over_rate {
            return self.refuse_for_rate(&incoming, wait).await;
        }
        self.strikes = 0;
        let done = match incoming {
            Incoming::Control => Ok(()),
            Incoming::Problem(problem) => Err(problem),
            Incoming::Request(request) => match self.answer(request).await {
                Ok(done) => done,
                Err(end) => return Err(end),
            },
        };
        match done {
            Ok(()) => Ok(()),
            Err(problem) => self.tell(&Event::Error(&problem)).await,
        }
    }

    /// A frame over the rate is not acted on. A peer that does not heed that is let go: answering
    /// a flood would only double it.
    async fn refuse_for_rate(&mut self, incoming: &Incoming, wait: Duration) -> Result<(), End> {
        let limits = &self.app.config.limits;
        self.strikes += 1;
        if self.strikes > limits.burst {
            let reason = format!("far over the rate of {} frames a second", limits.rate);
            return Err(End::Close(close_code::POLICY, reason));
        }
        let message = format!(
            "more than {} frames a second; this one was not acted on",
            limits.rate
        );
        let mut problem = Problem::new(Code::RateLimited, message);
        // Rounded up, so that who waits as long as told finds a token.
        problem.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) + 1);
        if let Incoming::Request(Request::Send { room, nonce, .. }) = incoming {
            problem = problem.in_room(room).for_nonce(nonce);
        }
        self.tell(&Event::Error(&problem)).await
    }

    async fn tell(&mut self, event: &Event<'_>) -> Result<(), End> {
        self.wire.write(event.to_json().into()).await?;
        self.wire.flush().await
    }

    /// Acts on a request. The outer error ends the connection; the inner one is told to it.
    async fn answer(&mut self, request: Request) -> Result<Result<(), Problem>, End> {
        let limits = &self.app.config.limits;
        Ok(match request {
            Request::Hello { .. } => {
                let message = format!("you said hello already; you are '{}'", self.name);
                Err(Problem::new(Code::AlreadyHello, message))
            }
            Request::Ping => return self.tell(&Event::Pong).await.map(Ok),
            Request::Join { room, after } => return self.join(&room, after).await,
            Request::Leave { room } => {
                if !self.app.hub.leave(self.id, &room) {
                    let message = "this connection is not in that room";
                    return Ok(Err(Problem::new(Code::NotJoined, message).in_room(&room)));
                }
                self.seen.remove(room.as_str());
                return self.tell(&Event::Left { room: &room }).await.map(Ok);
            }
            Request::Send { room, text, nonce } => {
                let checked = text::nonce(&nonce).and_then(|_| text::message_text(&text, limits));
                match checked {
                    Ok(text) => {
                        let name = self.name.clone();
                        self.write(Action::Append {
                            room,
                            name,
                            text,
                            nonce: Some(nonce),
                        })
                        .await
                    }
                    Err(problem) => Err(problem.in_room(&room).for_nonce(&nonce)),
                }
            }
            Request::Create { room } => match text::room_name(&room, limits) {
                Ok(room) => self.write(Action::CreateRoom { room }).await,
                Err(problem) => Err(problem.in_room(&room)),
            },
            Request::History {
                room,
                before,
                after,
                limit,
            } => {
                let span = match (before, after) {
                    (None, None) => Span::Newest,
                    (Some(seq), None) => Span::Before(seq),
                    (None, Some(seq)) => Span::After(seq),
                    (Some(_), Some(_)) => {
                        let message = "ask for 'before' or 'after', not for both";
                        return Ok(Err(Problem::new(Code::BadRequest, message).in_room(&room)));
                    }
                };
                let limit = limit.unwrap_or(limits.page).clamp(1, limits.page);
                match self.app.store.history(&room, span, limit).await {
                    Ok(page) => return self.tell(&Event::History(&page)).await.map(Ok),
                    Err(error) => Err(unreadable(&error, &room)),
                }
            }
        })
    }

    /// Subscribes first and reads history second, so that nothing falls between the two; what
    /// falls into both is told apart by `seen`.
    async fn join(&mut self, room: &str, after: Option<u64>) -> Result<Result<(), Problem>, End> {
        let was_in = self.seen.contains_key(room);
        let people = match self.app.hub.join(self.id, room) {
            Ok(people) => people,
            Err(problem) => return Ok(Err(problem)),
        };
        let span = after.map_or(Span::Newest, Span::After);
        let page = match self
            .app
            .store
            .history(room, span, self.app.config.limits.page)
            .await
        {
            Ok(page) => page,
            Err(error) => {
                // Who was in there before stays, and misses nothing.
                if !was_in {
                    self.app.hub.leave(self.id, room);
                }
                return Ok(Err(unreadable(&error, room)));
            }
        };
        self.seen.insert(Arc::clone(&page.room), page.last_seq);
        self.tell(&Event::Joined {
            people: &people,
            page: &page,
        })
        .await
        .map(Ok)
    }

    /// Hands a change to the store; the outcome comes back through the queue.
    async fn write(&mut self, action: Action) -> Result<(), Problem> {
        self.unanswered += 1;
        let written = self.app.store.write(action, Ticket::Socket(self.id)).await;
        written.map_err(|_| {
            self.unanswered -= 1;
            Problem::new(Code::Stopping, "the server is stopping")
        })
    }

    /// At a stop: what this connection asked for before is answered before it is let go.
    async fn settle(&mut self) {
        let limit = self.app.config.limits.drain() / 2;
        let settled = async {
            // What was taken from the queue when the stop came, or an answer that was under way.
            if self.wire.write_owed().await.is_err() {
                return;
            }
            loop {
                let next = match self.queue.try_recv() {
                    Ok(outgoing) => Some(outgoing),
                    Err(_) if self.unanswered > 0 => self.queue.recv().await,
                    Err(_) => None,
                };
                let Some(outgoing) = next else { return };
                if self.is_wanted(&outgoing)
                    && self.wire.write_last(text_of(outgoing)).await.is_err()
                {
                    return;
                }
            }
        };
        // A peer that does not read has the rest in its history when it comes back.
        let _ = tapio::time::timeout(limit, settled).await;
    }
}

/// However a session ends, even dropped in mid-flight by the runtime, nobody is left in a room
/// who is not there.
impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.app.hub.disconnect(self.id);
    }
}

async fn tick(ping: &mut Option<Interval>) {
    match ping {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

fn unreadable(error: &ReadError, room: &str) -> Problem {
    match error {
        ReadError::UnknownRoom => Problem::unknown_room(room),
        ReadError::Disk(why) => {
            let message = format!("the history could not be read: {why}");
            Problem::new(Code::Storage, message).in_room(room)
        }
        ReadError::Closed => Problem::new(Code::Stopping, "the server is stopping").in_room(room),
    }
}
