//! Where everybody meets: the rooms, the way to each connection, and the seats.
//!
//! ```text
//! socket --write--> store writer --outcomes--> publish_all --deliver--> each socket's queue
//! socket --join/leave--> Rooms --take_changes--> announce_changes ----^
//! ```
//! The lock is held for a few map look-ups and queue pushes at a time, never across an await.

mod answer;
mod tasks;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tapio::sync::{Notify, mpsc, oneshot};

use self::answer::{answer, problem};
pub(crate) use self::tasks::{announce_changes, publish_all};
use crate::config::Limits;
use crate::protocol::{Code, Event, Problem, RoomSummary};
use crate::room::{ConnId, JoinRefused, People, Rooms};
use crate::store::{Done, Written};

/// What waits in a connection's queue.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing {
    Event(Utf8Bytes),
    /// The answer to a `send` or `create` of this connection.
    Answer(Utf8Bytes),
    /// A message, with what is needed to send it once and only while its room is joined.
    Message {
        room: Arc<str>,
        seq: u64,
        text: Utf8Bytes,
    },
}

/// Told to a connection whose queue has overflowed.
#[derive(Debug)]
pub(crate) struct TooSlow;

/// Who waits for the outcome of a write.
#[derive(Debug)]
pub(crate) enum Ticket {
    Socket(ConnId),
    Http(oneshot::Sender<Result<Done, Problem>>),
}

/// A connection as the hub sees it from the connection's own side.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: ConnId,
    pub(crate) queue: mpsc::Receiver<Outgoing>,
    pub(crate) too_slow: oneshot::Receiver<TooSlow>,
}

/// The meeting place.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    changed: Notify,
    seats: AtomicUsize,
    seat_freed: Notify,
    seats_max: usize,
    queue_max: usize,
}

#[derive(Debug)]
struct State {
    rooms: Rooms,
    outboxes: HashMap<ConnId, Outbox>,
}

#[derive(Debug)]
struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    too_slow: oneshot::Sender<TooSlow>,
}

/// The right to be one of the connections; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Hub>);

impl Hub {
    pub(crate) fn new(rooms: Vec<RoomSummary>, limits: &Limits) -> Self {
        let mut state = State {
            rooms: Rooms::new(limits.joined),
            outboxes: HashMap::new(),
        };
        for room in rooms {
            state
                .rooms
                .add_room(&room.name, room.created_ms, room.last_seq);
        }
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            seats: AtomicUsize::new(0),
            seat_freed: Notify::new(),
            seats_max: limits.connections,
            queue_max: limits.queue,
        }
    }

    /// The state stays sound if a thread panics while it holds it: each transition is finished
    /// before anything that could panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a seat, or none if all are taken.
    pub(crate) fn seat(self: &Arc<Self>) -> Option<Seat> {
        // Relaxed on failure, acquire-release on success: pairs with the release in Seat's drop,
        // so that whoever takes a seat sees what its last owner did.
        let taken = self
            .seats
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |seats| {
                (seats < self.seats_max).then_some(seats + 1)
            });
        taken.is_ok().then(|| Seat(Arc::clone(self)))
    }

    pub(crate) fn seats_taken(&self) -> usize {
        // Acquire: pairs with the release in Seat's drop.
        self.seats.load(Ordering::Acquire)
    }

    /// Waits until no seat is taken.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn empty(&self) {
        loop {
            let freed = self.seat_freed.notified();
            if self.seats_taken() == 0 {
                return;
            }
            freed.await;
        }
    }

    /// Lets a connection in under a name.
    pub(crate) fn connect(&self, name: &str) -> (Link, Vec<RoomSummary>) {
        let (queue, waiting) = mpsc::channel(self.queue_max);
        let (too_slow, told_too_slow) = oneshot::channel();
        let mut state = self.lock();
        let id = state.rooms.connect(name);
        state.outboxes.insert(id, Outbox { queue, too_slow });
        let rooms = state.rooms.summaries();
        (
            Link {
                id,
                queue: waiting,
                too_slow: told_too_slow,
            },
            rooms,
        )
    }

    pub(crate) fn disconnect(&self, id: ConnId) {
        let mut state = self.lock();
        state.outboxes.remove(&id);
        state.rooms.disconnect(id);
        self.wake_announcer(&state);
    }

    pub(crate) fn join(&self, id: ConnId, room: &str) -> Result<Vec<Arc<str>>, Problem> {
        let mut state = self.lock();
        let people = state
            .rooms
            .join(id, room)
            .map_err(|refused| match refused {
                JoinRefused::UnknownRoom => Problem::unknown_room(room),
                JoinRefused::TooMany(max) => Problem::new(
                    Code::TooManyJoined,
                    format!("one connection can be in {max} rooms"),
                )
                .in_room(room),
                JoinRefused::Gone => {
                    Problem::new(Code::Stopping, "this connection is being closed")
                }
            })?;
        self.wake_announcer(&state);
        Ok(people)
    }

    pub(crate) fn leave(&self, id: ConnId, room: &str) -> bool {
        let mut state = self.lock();
        let left = state.rooms.leave(id, room);
        self.wake_announcer(&state);
        left
    }

    pub(crate) fn knows(&self, room: &str) -> bool {
        self.lock().rooms.contains(room)
    }

    pub(crate) fn rooms(&self) -> Vec<RoomSummary> {
        self.lock().rooms.summaries()
    }

    pub(crate) fn room(&self, name: &str) -> Option<(RoomSummary, People)> {
        self.lock().rooms.room(name)
    }

    /// The names of those connected, for the log at the end.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.lock().rooms.names()
    }

    fn wake_announcer(&self, state: &State) {
        if state.rooms.has_changes() {
            self.changed.notify_one();
        }
    }

    /// Tells the outcome of one write: first whoever asked for it, then the room.
    fn publish(&self, written: Written<Ticket>) {
        let Written {
            action,
            ticket,
            outcome,
        } = written;
        let mut state = self.lock();
        if let Ok(Done::Room(room)) = &outcome {
            state
                .rooms
                .add_room(&room.name, room.created_ms, room.last_seq);
        }
        match ticket {
            Ticket::Socket(id) => {
                let answer = Outgoing::Answer(answer(&action, &outcome).into());
                state.deliver([id], &answer);
            }
            Ticket::Http(waiting) => {
                let answer = outcome
                    .clone()
                    .map_err(|refusal| problem(&action, &refusal));
                // Whoever asked may have gone; what is done is done.
                let _ = waiting.send(answer);
            }
        }
        if let Ok(Done::Message {
            message,
            duplicate: false,
        }) = &outcome
        {
            let to: Vec<ConnId> = state.rooms.published(&message.room, message.seq).collect();
            let text = Event::Message(message).to_json().into();
            let room = Arc::clone(&message.room);
            state.deliver(
                to,
                &Outgoing::Message {
                    room,
                    seq: message.seq,
                    text,
                },
            );
        }
        self.wake_announcer(&state);
    }

    fn announce(&self) {
        let mut state = self.lock();
        let changes = state.rooms.take_changes();
        for change in changes.presence {
            let event = Event::Presence {
                room: &change.room,
                joined: &change.came,
                left: &change.went,
                people: change.people,
            };
            state.deliver(change.tell, &Outgoing::Event(event.to_json().into()));
        }
        if !changes.rooms.is_empty() {
            let event = Event::Rooms {
                rooms: &changes.rooms,
            };
            state.deliver(changes.rooms_for, &Outgoing::Event(event.to_json().into()));
        }
        // Delivering may have found slow readers, who have now left their rooms.
        self.wake_announcer(&state);
    }
}

impl State {
    /// Puts an event into queues. A full queue means a reader that has fallen too far behind: it
    /// is told so and leaves the rooms at once, so that it costs nobody anything more.
    fn deliver(&mut self, to: impl IntoIterator<Item = ConnId>, event: &Outgoing) {
        for id in to {
            let Some(outbox) = self.outboxes.get(&id) else {
                continue;
            };
            // A closed queue belongs to a socket that is about to say goodbye by itself.
            let sent = outbox.queue.try_send(event.clone());
            if let Err(mpsc::error::TrySendError::Full(_)) = sent {
                self.rooms.disconnect(id);
                if let Some(outbox) = self.outboxes.remove(&id) {
                    let _ = outbox.too_slow.send(TooSlow);
                }
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Release: pairs with the acquires in `Hub::seat` and `Hub::seats_taken`.
        self.0.seats.fetch_sub(1, Ordering::Release);
        self.0.seat_freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Hub, Outgoing, Ticket};
    use crate::config::Limits;
    use crate::protocol::{Message, RoomSummary};
    use crate::store::{Action, Done, Written};

    fn hub(limits: &Limits) -> Arc<Hub> {
        let lobby = RoomSummary {
            name: "lobby".into(),
            people: 0,
            last_seq: 0,
            created_ms: 0,
        };
        Arc::new(Hub::new(vec![lobby], limits))
    }

    fn written(ticket: Ticket, seq: u64) -> Written<Ticket> {
        let action = Action::Append {
            room: "lobby".to_owned(),
            name: "Ada".to_owned(),
            text: "hi".to_owned(),
            nonce: Some(format!("n{seq}")),
        };
        let message = Message {
            room: "lobby".into(),
            seq,
            name: "Ada".to_owned(),
            text: "hi".to_owned(),
            time_ms: 0,
        };
        let outcome = Ok(Done::Message {
            message: Arc::new(message),
            duplicate: false,
        });
        Written {
            action,
            ticket,
            outcome,
        }
    }

    #[test]
    fn the_sender_is_answered_before_the_room_is_told() {
        let hub = hub(&Limits::default());
        let (mut ada, _) = hub.connect("Ada");
        hub.join(ada.id, "lobby").unwrap();
        hub.publish(written(Ticket::Socket(ada.id), 1));
        assert!(matches!(ada.queue.try_recv(), Ok(Outgoing::Answer(_))));
        assert!(matches!(
            ada.queue.try_recv(),
            Ok(Outgoing::Message { seq: 1, .. })
        ));
    }

    #[test]
    fn a_full_queue_drops_its_reader_and_nobody_else() {
        let hub = hub(&Limits {
            queue: 2,
            ..Limits::default()
        });
        let (mut slow, _) = hub.connect("slow");
        let (mut quick, _) = hub.connect("quick");
        let (sender, _) = hub.connect("sender");
        for link in [&slow, &quick] {
            hub.join(link.id, "lobby").unwrap();
        }
        for seq in 1..=3 {
            hub.publish(written(Ticket::Socket(sender.id), seq));
            assert!(quick.queue.try_recv().is_ok());
        }
        assert!(slow.too_slow.try_recv().is_ok());
        let (_, people) = hub.room("lobby").unwrap();
        assert_eq!(people, [(Arc::from("quick"), 1)]);
    }

    #[test]
    fn seats_are_counted_and_given_back() {
        let hub = hub(&Limits {
            connections: 1,
            ..Limits::default()
        });
        let seat = hub.seat().expect("the first seat");
        assert!(hub.seat().is_none());
        drop(seat);
        assert!(hub.seat().is_some());
    }
}
