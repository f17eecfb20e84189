//! The one writer: takes what is waiting, makes one transaction of it, then tells the outcomes.
//!
//! A commit costs a disk flush whether it holds one message or hundreds. So while one commit is
//! under way requests gather, and the next commit takes them all: latency is that of the disk,
//! throughput is not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};
use tapio::sync::mpsc;

use super::{Action, Done, Refusal, Write, Written};
use crate::protocol::{Message, RoomSummary};

const BATCH_MAX: usize = 256;

/// What the writer remembers of each room, so that it need not ask for every message.
type Rooms = HashMap<Arc<str>, Room>;

#[derive(Debug, Clone, Copy)]
struct Room {
    id: i64,
    last_seq: i64,
}

type Outcome = Result<Done, Refusal>;

/// Serves requests until it is told to stop or nobody is left who could ask.
pub(super) fn run<T>(
    mut connection: Connection,
    rooms_max: usize,
    mut writes: mpsc::Receiver<Write<T>>,
    outcomes: &mpsc::Sender<Vec<Written<T>>>,
) {
    let mut rooms = Rooms::new();
    let mut stale = true;
    let mut stop = false;
    while !stop {
        let Some(first) = writes.blocking_recv() else {
            break;
        };
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(Write::Do(action, ticket)) = next {
            batch.push((action, ticket));
            next = if batch.len() < BATCH_MAX {
                writes.try_recv().ok()
            } else {
                None
            };
        }
        stop = matches!(next, Some(Write::Stop));
        let actions: Vec<&Action> = batch.iter().map(|(action, _)| action).collect();
        let results = store(&mut connection, &mut rooms, &mut stale, rooms_max, &actions);
        let written = batch.into_iter().zip(results);
        let written: Vec<_> = written
            .map(|((action, ticket), outcome)| Written {
                action,
                ticket,
                outcome,
            })
            .collect();
        if !written.is_empty() && outcomes.blocking_send(written).is_err() {
            break;
        }
    }
    // A tidy end: the whole log goes into the main file. Readers may still hold it back; then
    // the next start reads the log, and nothing is lost.
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::debug!(%error, "the log was not folded into the database");
    }
}

/// Stores a batch. If it cannot be stored as one, each action is tried alone, so that one that
/// cannot be stored does not take its neighbours with it.
fn store(
    connection: &mut Connection,
    rooms: &mut Rooms,
    stale: &mut bool,
    rooms_max: usize,
    actions: &[&Action],
) -> Vec<Outcome> {
    match transaction(connection, rooms, stale, rooms_max, actions) {
        Ok(results) => results,
        Err(error) if actions.len() == 1 => {
            tracing::error!(%error, "storing failed");
            vec![Err(Refusal::Disk(error.to_string()))]
        }
        Err(error) => {
            tracing::warn!(%error, count = actions.len(), "storing together failed, trying singly");
            let each = actions.chunks(1);
            each.flat_map(|one| store(connection, rooms, stale, rooms_max, one))
                .collect()
        }
    }
}

fn transaction(
    connection: &mut Connection,
    rooms: &mut Rooms,
    stale: &mut bool,
    rooms_max: usize,
    actions: &[&Action],
) -> rusqlite::Result<Vec<Outcome>> {
    if *stale {
        *rooms = load(connection)?;
    }
    // Until the commit has succeeded, what is remembered may be ahead of what is stored.
    *stale = true;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let results = actions
        .iter()
        .map(|action| match action {
            Action::Append {
                room,
                name,
                text,
                nonce,
            } => append(&transaction, rooms, room, name, text, nonce.as_deref()),
            Action::CreateRoom { room } => create(&transaction, rooms, rooms_max, room),
        })
        .collect::<rusqlite::Result<Vec<_>>>()?;
    transaction.commit()?;
    *stale = false;
    Ok(results)
}

fn append(
    transaction: &Transaction<'_>,
    rooms: &mut Rooms,
    room: &str,
    name: &str,
    text: &str,
    nonce: Option<&str>,
) -> rusqlite::Result<Outcome> {
    let Some((key, entry)) = rooms.get_key_value(room) else {
        return Ok(Err(Refusal::UnknownRoom));
    };
    let (key, entry) = (Arc::clone(key), *entry);
    if let Some(nonce) = nonce
        && let Some(stored) = find(transaction, &key, entry.id, nonce)?
    {
        if stored.text != text {
            return Ok(Err(Refusal::NonceReused));
        }
        return Ok(Ok(Done::Message {
            message: Arc::new(stored),
            duplicate: true,
        }));
    }
    let (seq, time_ms) = (entry.last_seq + 1, now_ms());
    transaction
        .prepare_cached(
            "INSERT INTO messages (room_id, seq, name, text, nonce, time_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((entry.id, seq, name, text, nonce, time_ms))?;
    transaction
        .prepare_cached("UPDATE rooms SET last_seq = ?2 WHERE id = ?1")?
        .execute((entry.id, seq))?;
    rooms.insert(
        Arc::clone(&key),
        Room {
            id: entry.id,
            last_seq: seq,
        },
    );
    let message = Message {
        room: key,
        seq: seq.cast_unsigned(),
        name: name.to_owned(),
        text: text.to_owned(),
        time_ms: time_ms.cast_unsigned(),
    };
    Ok(Ok(Done::Message {
        message: Arc::new(message),
        duplicate: false,
    }))
}

fn find(
    transaction: &Transaction<'_>,
    room: &Arc<str>,
    room_id: i64,
    nonce: &str,
) -> rusqlite::Result<Option<Message>> {
    transaction
        .prepare_cached(
            "SELECT seq, name, text, time_ms FROM messages WHERE room_id = ?1 AND nonce = ?2",
        )?
        .query_row((room_id, nonce), |row| {
            Ok(Message {
                room: Arc::clone(room),
                seq: row.get::<_, i64>(0)?.cast_unsigned(),
                name: row.get(1)?,
                text: row.get(2)?,
                time_ms: row.get::<_, i64>(3)?.cast_unsigned(),
            })
        })
        .optional()
}

fn create(
    transaction: &Transaction<'_>,
    rooms: &mut Rooms,
    rooms_max: usize,
    room: &str,
) -> rusqlite::Result<Outcome> {
    if rooms.contains_key(room) {
        return Ok(Err(Refusal::RoomExists));
    }
    if rooms.len() >= rooms_max {
        return Ok(Err(Refusal::TooManyRooms(rooms_max)));
    }
    let created_ms = now_ms();
    transaction
        .prepare_cached("INSERT INTO rooms (name, created_ms) VALUES (?1, ?2)")?
        .execute((room, created_ms))?;
    let name: Arc<str> = Arc::from(room);
    let id = transaction.last_insert_rowid();
    rooms.insert(Arc::clone(&name), Room { id, last_seq: 0 });
    let created_ms = created_ms.cast_unsigned();
    Ok(Ok(Done::Room(RoomSummary {
        name,
        people: 0,
        last_seq: 0,
        created_ms,
    })))
}

fn load(connection: &Connection) -> rusqlite::Result<Rooms> {
    let mut rooms = connection.prepare_cached("SELECT name, id, last_seq FROM rooms")?;
    let rooms = rooms.query_map([], |row| {
        let name: String = row.get(0)?;
        Ok((
            Arc::from(name),
            Room {
                id: row.get(1)?,
                last_seq: row.get(2)?,
            },
        ))
    })?;
    rooms.collect()
}

/// The time of day, in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Rooms, store};
    use crate::config::Durability;
    use crate::store::{Action, Done, Refusal, open};

    fn say(nonce: Option<&str>, text: &str) -> Action {
        Action::Append {
            room: "lobby".to_owned(),
            name: "Ada".to_owned(),
            text: text.to_owned(),
            nonce: nonce.map(str::to_owned),
        }
    }

    fn seq_of(outcome: &Result<Done, Refusal>) -> (u64, bool) {
        match outcome {
            Ok(Done::Message { message, duplicate }) => (message.seq, *duplicate),
            other => panic!("not a message: {other:?}"),
        }
    }

    #[test]
    fn sequences_nonces_and_limits() {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(&dir.path().join("db"), Durability::Normal).unwrap();
        let (mut rooms, mut stale) = (Rooms::new(), true);
        let mut run = |actions: &[Action]| {
            let actions: Vec<&Action> = actions.iter().collect();
            store(&mut opened.writer, &mut rooms, &mut stale, 2, &actions)
        };
        let first = run(&[
            say(None, "a"),
            say(Some("n"), "b"),
            say(Some("n"), "b"),
            say(None, "a"),
        ]);
        let seqs: Vec<_> = first.iter().map(seq_of).collect();
        assert_eq!(seqs, [(1, false), (2, false), (2, true), (3, false)]);
        assert_eq!(
            run(&[say(Some("n"), "other")])[0].as_ref().unwrap_err(),
            &Refusal::NonceReused
        );

        let create = |room: &str| Action::CreateRoom {
            room: room.to_owned(),
        };
        let created = run(&[create("attic"), create("lobby"), create("cellar")]);
        assert!(matches!(created[0], Ok(Done::Room(_))));
        assert_eq!(created[1].as_ref().unwrap_err(), &Refusal::RoomExists);
        assert_eq!(created[2].as_ref().unwrap_err(), &Refusal::TooManyRooms(2));
    }

    #[test]
    fn what_cannot_be_stored_does_not_harm_its_neighbours() {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(&dir.path().join("db"), Durability::Normal).unwrap();
        let (mut rooms, mut stale) = (Rooms::new(), true);
        opened
            .writer
            .execute_batch(
                "CREATE TEMP TRIGGER full BEFORE INSERT ON messages WHEN new.text = 'bad' \
                 BEGIN SELECT raise(ABORT, 'disk full'); END",
            )
            .unwrap();
        let actions = [say(None, "a"), say(None, "bad"), say(None, "c")];
        let actions: Vec<&Action> = actions.iter().collect();
        let results = store(&mut opened.writer, &mut rooms, &mut stale, 9, &actions);
        assert_eq!(seq_of(&results[0]), (1, false));
        assert!(matches!(&results[1], Err(Refusal::Disk(why)) if why.contains("disk full")));
        assert_eq!(seq_of(&results[2]), (2, false));
    }
}
