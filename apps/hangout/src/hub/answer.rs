//! What whoever asked for a change is told of its outcome.

use crate::protocol::{Code, Event, Problem};
use crate::store::{Action, Done, Refusal};

/// The event that answers a connection's request.
pub(super) fn answer(action: &Action, outcome: &Result<Done, Refusal>) -> String {
    match (action, outcome) {
        (Action::Append { nonce, .. }, Ok(Done::Message { message, duplicate })) => Event::Ack {
            room: &message.room,
            nonce: nonce.as_deref().unwrap_or_default(),
            seq: message.seq,
            duplicate: *duplicate,
        }
        .to_json(),
        (_, Ok(Done::Message { message, .. })) => Event::Message(message).to_json(),
        (_, Ok(Done::Room(room))) => Event::Created { room }.to_json(),
        (action, Err(refusal)) => Event::Error(&problem(action, refusal)).to_json(),
    }
}

/// A refusal in the words of the protocol.
pub(super) fn problem(action: &Action, refusal: &Refusal) -> Problem {
    let (Action::Append { room, .. } | Action::CreateRoom { room }) = action;
    let problem = match refusal {
        Refusal::UnknownRoom => Problem::unknown_room(room),
        Refusal::RoomExists => Problem::new(
            Code::RoomExists,
            format!("there is a room '{room}' already"),
        ),
        Refusal::TooManyRooms(max) => Problem::new(
            Code::TooManyRooms,
            format!("there are {max} rooms, which is the limit"),
        ),
        Refusal::NonceReused => Problem::new(
            Code::NonceReused,
            "this nonce belongs to a message with another text; a new message needs a new nonce",
        ),
        Refusal::Disk(why) => Problem::new(
            Code::Storage,
            format!("the database could not store this: {why}"),
        ),
    };
    let problem = problem.in_room(room);
    match action {
        Action::Append {
            nonce: Some(nonce), ..
        } => problem.for_nonce(nonce),
        _ => problem,
    }
}
