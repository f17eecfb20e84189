//! Reads pages of history.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row};
use tapio::sync::{mpsc, oneshot};

use super::health::{FailedRead, Health};
use super::{ReadError, Span};
use crate::protocol::{HistoryPage, Message};

#[derive(Debug)]
pub(super) enum Read {
    Page {
        room: String,
        span: Span,
        limit: usize,
        answer: oneshot::Sender<Result<HistoryPage, ReadError>>,
    },
    Stop,
}

/// Answers reads, one after the other, until it is told to stop.
pub(super) fn run(connection: &Connection, mut reads: mpsc::Receiver<Read>, health: &Health) {
    while let Some(Read::Page {
        room,
        span,
        limit,
        answer,
    }) = reads.blocking_recv()
    {
        let page = match page(connection, &room, span, limit) {
            Ok(Some(page)) => Ok(page),
            Ok(None) => Err(ReadError::UnknownRoom),
            Err(error) => {
                let why = error.to_string();
                let line = format!("the history of '{room}' could not be read: {why}");
                health.read_fails(FailedRead { room, span, limit }, &line);
                Err(ReadError::Disk(why))
            }
        };
        // Whoever asked may have gone.
        let _ = answer.send(page);
    }
}

/// Reads one message more than asked for, to know whether there are more.
pub(super) fn page(
    connection: &Connection,
    room: &str,
    span: Span,
    limit: usize,
) -> rusqlite::Result<Option<HistoryPage>> {
    // One transaction, so that `last_seq` and the messages are of the same moment.
    let transaction = connection.unchecked_transaction()?;
    let known = transaction
        .prepare_cached("SELECT id, last_seq FROM rooms WHERE name = ?1")?
        .query_row([room], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    let Some((id, last_seq)) = known else {
        return Ok(None);
    };
    let (query, bound) = match span {
        Span::Newest => (BEFORE, i64::MAX),
        Span::Before(seq) => (BEFORE, i64::try_from(seq).unwrap_or(i64::MAX)),
        Span::After(seq) => (AFTER, i64::try_from(seq).unwrap_or(i64::MAX)),
    };
    let room: Arc<str> = Arc::from(room);
    let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut query = transaction.prepare_cached(query)?;
    let rows = query.query_map((id, bound, wanted), |row| message(&room, row))?;
    let mut messages = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = messages.len() > limit;
    messages.truncate(limit);
    if !matches!(span, Span::After(_)) {
        messages.reverse();
    }
    Ok(Some(HistoryPage {
        room,
        messages,
        more,
        last_seq: last_seq.cast_unsigned(),
    }))
}

const BEFORE: &str = "SELECT seq, name, text, time_ms FROM messages \
     WHERE room_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";
const AFTER: &str = "SELECT seq, name, text, time_ms FROM messages \
     WHERE room_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";

fn message(room: &Arc<str>, row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        room: Arc::clone(room),
        seq: row.get::<_, i64>(0)?.cast_unsigned(),
        name: row.get(1)?,
        text: row.get(2)?,
        time_ms: row.get::<_, i64>(3)?.cast_unsigned(),
    })
}
