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

use super::health::{Health, Kind};
use super::open::{connect, probe_room};
use super::place::Place;
use super::reader::page;
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

/// The writer and all that it knows.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    place: Place,
    health: Arc<Health>,
    rooms_max: usize,
    rooms: Rooms,
    /// What is remembered of the rooms may be ahead of what is stored.
    is_stale: bool,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        place: Place,
        health: Arc<Health>,
        rooms_max: usize,
    ) -> Self {
        Self {
            connection,
            place,
            health,
            rooms_max,
            rooms: Rooms::new(),
            is_stale: true,
        }
    }

    /// Serves requests until it is told to stop or nobody is left who could ask. Returns what is
    /// wrong with the file that all was stored in, if anything is.
    pub(super) fn run<T>(
        mut self,
        mut writes: mpsc::Receiver<Write<T>>,
        outcomes: &mpsc::Sender<Vec<Written<T>>>,
    ) -> Option<String> {
        let mut stop = false;
        while !stop {
            let (mut batch, mut checks) = (Vec::new(), Vec::new());
            let mut next = writes.blocking_recv();
            stop = next.is_none();
            loop {
                match next {
                    Some(Write::Do(action, ticket)) => batch.push((action, ticket)),
                    Some(Write::Check(answer)) => checks.push(answer),
                    Some(Write::Stop) => {
                        stop = true;
                        break;
                    }
                    None => break,
                }
                if batch.len() == BATCH_MAX {
                    break;
                }
                next = writes.try_recv().ok();
            }
            let actions: Vec<&Action> = batch.iter().map(|(action, _)| action).collect();
            let results = self.answer(&actions);
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
            if !checks.is_empty() {
                let found = self.check();
                for answer in checks {
                    // The one who asked may have gone.
                    let _ = answer.send(found.clone());
                }
            }
        }
        // A tidy end: the whole log goes into the main file. Readers may still hold it back; then
        // the next start reads the log, and nothing is lost.
        let folded = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = folded {
            tracing::debug!(%error, "the log was not folded into the database");
        }
        let lost = self.place.check().err()?;
        let path = self.place.path().display();
        Some(format!(
            "the database {path} is not what messages were stored in: {lost}"
        ))
    }

    /// Stores a batch, unless it would be lost, and acknowledges only what is still there then.
    fn answer(&mut self, actions: &[&Action]) -> Vec<Outcome> {
        if actions.is_empty() {
            return Vec::new();
        }
        let refused = |why: String| Err(Refusal::Disk(why));
        if let Err(why) = self.is_sound() {
            return actions.iter().map(|_| refused(why.clone())).collect();
        }
        let results = self.store(actions);
        if let Err(why) = self.is_in_place() {
            // Committed, but into a file that may be gone. A retry with the same nonce finds it,
            // should the file come back.
            self.is_stale = true;
            let refused = results.into_iter().map(|outcome| match outcome {
                Ok(_) => refused(why.clone()),
                Err(refusal) => Err(refusal),
            });
            return refused.collect();
        }
        results
    }

    /// Whether storing would work at this moment, as far as can be known.
    fn check(&mut self) -> Result<(), String> {
        self.is_sound()?;
        if self.health.is_failing(Kind::Write) {
            if let Err(error) = probe_room(&self.connection) {
                return Err(format!("the database cannot be written: {error}"));
            }
            self.health.works(Kind::Write);
        }
        Ok(())
    }

    /// Whether what is stored now will be found again.
    fn is_sound(&mut self) -> Result<(), String> {
        self.is_in_place()?;
        let Some(read) = self.health.failed_read() else {
            return Ok(());
        };
        // On a connection of its own, which remembers no page from better times.
        let again = connect(self.place.path())
            .and_then(|fresh| page(&fresh, &read.room, read.span, read.limit));
        match again {
            Ok(_) => {
                self.health.works(Kind::Read);
                Ok(())
            }
            Err(error) => Err(format!("the database cannot be read: {error}")),
        }
    }

    fn is_in_place(&mut self) -> Result<(), String> {
        match self.place.check() {
            Ok(()) if self.health.is_failing(Kind::Gone) => {
                self.health.works(Kind::Gone);
                self.is_stale = true;
                Ok(())
            }
            Ok(()) => Ok(()),
            Err(why) => {
                self.health.fails(Kind::Gone, &why);
                Err(why)
            }
        }
    }

    /// Stores a batch. If it cannot be stored as one, each action is tried alone, so that one
    /// that cannot be stored does not take its neighbours with it.
    fn store(&mut self, actions: &[&Action]) -> Vec<Outcome> {
        match self.transaction(actions) {
            Ok(results) => {
                if self.health.is_failing(Kind::Write) {
                    self.health.works(Kind::Write);
                }
                results
            }
            Err(error) if actions.len() == 1 => {
                let why = error.to_string();
                self.health
                    .fails(Kind::Write, &format!("storing failed: {why}"));
                vec![Err(Refusal::Disk(why))]
            }
            Err(error) => {
                tracing::debug!(%error, count = actions.len(), "storing together failed, trying singly");
                let each = actions.chunks(1);
                each.flat_map(|one| self.store(one)).collect()
            }
        }
    }

    fn transaction(&mut self, actions: &[&Action]) -> rusqlite::Result<Vec<Outcome>> {
        if self.is_stale {
            self.rooms = load(&self.connection)?;
        }
        // Until the commit has succeeded, what is remembered may be ahead of what is stored.
        self.is_stale = true;
        let (rooms, rooms_max) = (&mut self.rooms, self.rooms_max);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
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
        self.is_stale = false;
        Ok(results)
    }
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
        && let Some(stored) = find(transaction, &key, entry.id, name, nonce)?
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
    name: &str,
    nonce: &str,
) -> rusqlite::Result<Option<Message>> {
    transaction
        .prepare_cached(
            "SELECT seq, name, text, time_ms FROM messages \
             WHERE room_id = ?1 AND name = ?2 AND nonce = ?3",
        )?
        .query_row((room_id, name, nonce), |row| {
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
mod tests;
