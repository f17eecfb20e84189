//! Messages and rooms in one SQLite file.
//!
//! * [`open()`] checks the file, takes it for this process alone and makes the tables.
//! * [`writer`] is the only place that writes: one thread, many requests to a transaction.
//! * [`reader`] answers history from connections of its own, which the write-ahead log lets read
//!   while the writer writes.
//!
//! * [`place`] is how the writer knows that the file which it has open is still the one that the
//!   path names; [`health`] is what is wrong, said once.
//!
//! What was written comes back through one channel, in the order in which it was committed, and
//! only after the commit. Acknowledging and broadcasting from that channel alone is what makes
//! "acknowledged" mean "durable", and what gives every reader the same order.

mod health;
mod open;
mod place;
mod reader;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use tapio::sync::{mpsc, oneshot};
use tapio::task::{JoinHandle, spawn_blocking};

use self::health::Health;
use self::place::Place;
use self::writer::Writer;
use crate::config::Durability;
use crate::protocol::{HistoryPage, Message, RoomSummary};

/// A database that was opened and checked, before its threads run.
#[derive(Debug)]
pub(crate) struct Opened {
    writer: Connection,
    readers: Vec<Connection>,
    lock: File,
    place: Place,
    pub(crate) rooms: Vec<RoomSummary>,
}

/// The way to the database's threads. `T` is what a caller wants back with each outcome.
#[derive(Debug)]
pub(crate) struct Store<T> {
    writes: mpsc::Sender<Write<T>>,
    reads: Arc<[mpsc::Sender<reader::Read>]>,
    next_reader: Arc<AtomicUsize>,
}

/// The running threads, to be waited for at the end.
#[derive(Debug)]
pub(crate) struct Threads {
    /// Ends with what is wrong with the file that all was stored in, if anything is.
    pub(crate) writer: JoinHandle<Option<String>>,
    readers: Vec<JoinHandle<()>>,
    /// Closed last: closing any descriptor of the file drops SQLite's own locks on it.
    lock: File,
}

/// A request to change something.
#[derive(Debug)]
pub(crate) enum Action {
    Append {
        room: String,
        name: String,
        text: String,
        nonce: Option<String>,
    },
    CreateRoom {
        room: String,
    },
}

#[derive(Debug)]
enum Write<T> {
    Do(Action, T),
    /// Asks whether storing would work.
    Check(oneshot::Sender<Result<(), String>>),
    Stop,
}

/// What became of an [`Action`].
#[derive(Debug)]
pub(crate) struct Written<T> {
    pub(crate) action: Action,
    pub(crate) ticket: T,
    pub(crate) outcome: Result<Done, Refusal>,
}

/// A change that is durable.
#[derive(Debug, Clone)]
pub(crate) enum Done {
    /// `duplicate` when an earlier request had already stored it.
    Message {
        message: Arc<Message>,
        duplicate: bool,
    },
    Room(RoomSummary),
}

/// A change that was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownRoom,
    RoomExists,
    TooManyRooms(usize),
    /// The nonce belongs to a message with another text.
    NonceReused,
    Disk(String),
}

/// Which messages of a room to read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Span {
    Newest,
    Before(u64),
    After(u64),
}

/// Why a history could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    UnknownRoom,
    Disk(String),
    /// The database is closed, or closing.
    Closed,
}

const WRITES_WAITING: usize = 1_024;
const READS_WAITING: usize = 256;
const OUTCOMES_WAITING: usize = 4;
const READERS: usize = 2;

/// Opens the database at `path`, making it if it is missing.
///
/// # Errors
///
/// One line that names the path and the cause.
pub(crate) fn open(path: &Path, durability: Durability) -> Result<Opened, String> {
    open::open(path, durability, READERS)
}

impl Opened {
    /// Starts the threads, as long-running tasks of the runtime's blocking pool. The receiver
    /// must be read until it ends: the writer waits when nobody takes its outcomes.
    pub(crate) fn start<T: Send + 'static>(
        self,
        rooms_max: usize,
    ) -> (Store<T>, mpsc::Receiver<Vec<Written<T>>>, Threads) {
        let (writes, writes_waiting) = mpsc::channel(WRITES_WAITING);
        let (outcomes, outcomes_waiting) = mpsc::channel(OUTCOMES_WAITING);
        let health = Arc::new(Health::new(self.place.path()));
        let writer = Writer::new(self.writer, self.place, Arc::clone(&health), rooms_max);
        let writer = spawn_blocking(move || writer.run(writes_waiting, &outcomes));
        let (mut reads, mut readers) = (Vec::new(), Vec::new());
        for connection in self.readers {
            let (sender, receiver) = mpsc::channel(READS_WAITING);
            reads.push(sender);
            let health = Arc::clone(&health);
            readers.push(spawn_blocking(move || {
                reader::run(&connection, receiver, &health);
            }));
        }
        let store = Store {
            writes,
            reads: reads.into(),
            next_reader: Arc::default(),
        };
        (
            store,
            outcomes_waiting,
            Threads {
                writer,
                readers,
                lock: self.lock,
            },
        )
    }
}

impl<T> Store<T> {
    /// Hands a change to the writer; the outcome comes through the channel of outcomes.
    ///
    /// Waits while the writer has more than enough to do, which is what slows senders down to the
    /// speed of the disk.
    ///
    /// # Errors
    ///
    /// Gives the ticket back when the database is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the change is not made.
    pub(crate) async fn write(&self, action: Action, ticket: T) -> Result<(), T> {
        match self.writes.send(Write::Do(action, ticket)).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendError(Write::Do(_, ticket))) => Err(ticket),
            Err(mpsc::error::SendError(_)) => unreachable!("a Do was sent"),
        }
    }

    /// Asks whether the database could store and read at this moment. What failed last is tried
    /// again for it.
    ///
    /// # Errors
    ///
    /// What is wrong.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let closed = || "the database is closed".to_owned();
        let (answer, answered) = oneshot::channel();
        let sent = self.writes.send(Write::Check(answer)).await;
        sent.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Reads at most `limit` messages.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; the page may still be read for nobody.
    pub(crate) async fn history(
        &self,
        room: &str,
        span: Span,
        limit: usize,
    ) -> Result<HistoryPage, ReadError> {
        let (answer, answered) = oneshot::channel();
        // Relaxed: the number only spreads the load, no memory hangs on it.
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.reads.len();
        let read = reader::Read::Page {
            room: room.to_owned(),
            span,
            limit,
            answer,
        };
        self.reads[turn]
            .send(read)
            .await
            .map_err(|_| ReadError::Closed)?;
        answered.await.unwrap_or(Err(ReadError::Closed))
    }

    /// Asks the threads to end once they have done all that was asked before.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, some threads may not have been told; calling again tells the rest.
    pub(crate) async fn stop(&self) {
        // A thread that is gone needs no telling.
        let _ = self.writes.send(Write::Stop).await;
        for reader in self.reads.iter() {
            let _ = reader.send(reader::Read::Stop).await;
        }
    }
}

impl<T> Clone for Store<T> {
    fn clone(&self) -> Self {
        Self {
            writes: self.writes.clone(),
            reads: Arc::clone(&self.reads),
            next_reader: Arc::clone(&self.next_reader),
        }
    }
}

impl Threads {
    /// Waits for the threads, which end after [`Store::stop`].
    ///
    /// # Errors
    ///
    /// Names the thread that panicked, or what has become of the file that all was stored in.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the threads end unobserved.
    pub(crate) async fn join(self) -> Result<(), String> {
        let Self {
            writer,
            readers,
            lock,
        } = self;
        for reader in readers {
            reader
                .await
                .map_err(|error| format!("a database reader failed: {error}"))?;
        }
        let lost = writer
            .await
            .map_err(|error| format!("the database writer failed: {error}"))?;
        drop(lock);
        lost.map_or(Ok(()), Err)
    }
}
