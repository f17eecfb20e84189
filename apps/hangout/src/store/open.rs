//! Opening the database file: every way in which that fails gets a line a person can act on.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Opened;
use super::place::Place;
use crate::config::Durability;
use crate::protocol::RoomSummary;

/// "hang" in ASCII, so that another program's database is recognised and left alone.
const APPLICATION_ID: i32 = 0x6861_6e67;
const SCHEMA_VERSION: i32 = 2;

/// `messages` is kept in the order of its key, so that a page of history is one range of it.
/// A nonce belongs to its sender, in one room; messages without one do not collide.
const SCHEMA: &str = "
    CREATE TABLE rooms (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        last_seq INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE messages (
        room_id INTEGER NOT NULL REFERENCES rooms (id),
        seq INTEGER NOT NULL,
        name TEXT NOT NULL,
        text TEXT NOT NULL,
        nonce TEXT,
        time_ms INTEGER NOT NULL,
        PRIMARY KEY (room_id, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX messages_by_nonce ON messages (room_id, name, nonce)
        WHERE nonce IS NOT NULL;
";

/// Version 1 had one nonce for all people of a room.
const FROM_VERSION_1: &str = "
    DROP INDEX messages_by_nonce;
    CREATE UNIQUE INDEX messages_by_nonce ON messages (room_id, name, nonce)
        WHERE nonce IS NOT NULL;
";

pub(super) fn open(path: &Path, durability: Durability, readers: usize) -> Result<Opened, String> {
    let fail = |cause: String| format!("cannot use the database {}: {cause}", path.display());
    let lock = take(path).map_err(fail)?;
    let in_words = |error: rusqlite::Error| fail(explain(&error, path));
    let mut writer = connect(path).map_err(in_words)?;
    prepare(&mut writer, durability).map_err(|problem| match problem {
        Problem::Sqlite(error) => in_words(error),
        Problem::Other(cause) => fail(cause),
    })?;
    let rooms = load_rooms(&writer).map_err(in_words)?;
    let place = Place::new(path, &lock).map_err(fail)?;
    let readers = (0..readers)
        .map(|_| {
            let reader = connect(path)?;
            reader.pragma_update(None, "query_only", true)?;
            Ok(reader)
        })
        .collect::<rusqlite::Result<Vec<_>>>()
        .map_err(in_words)?;
    Ok(Opened {
        writer,
        readers,
        lock,
        place,
        rooms,
    })
}

/// Makes the file if it is missing and locks it against a second server, whose sequence numbers
/// and broadcasts would know nothing of ours. `flock` and SQLite's own locks do not meet, so
/// other programs may still read.
fn take(path: &Path) -> Result<File, String> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = file.map_err(|error| {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        match (error.kind(), parent) {
            (io::ErrorKind::NotFound, Some(parent)) if !parent.exists() => {
                format!("the directory {} does not exist", parent.display())
            }
            (io::ErrorKind::IsADirectory, _) => "it is a directory".to_owned(),
            (io::ErrorKind::PermissionDenied, _) => format!("it cannot be written ({error})"),
            _ => error.to_string(),
        }
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err("another hangout is using it".to_owned()),
        Err(TryLockError::Error(error)) => Err(format!("it cannot be locked ({error})")),
    }
}

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Each connection stays on one thread at a time, so SQLite need not lock it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

enum Problem {
    Sqlite(rusqlite::Error),
    Other(String),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn prepare(connection: &mut Connection, durability: Durability) -> Result<(), Problem> {
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application != APPLICATION_ID {
        let cause = "it is an SQLite database, but of another program";
        return Err(Problem::Other(cause.to_owned()));
    }
    if tables > 0 && !(1..=SCHEMA_VERSION).contains(&version) {
        return Err(Problem::Other(format!(
            "its format is version {version}; this hangout knows version {SCHEMA_VERSION}"
        )));
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Problem::Other(format!(
            "SQLite cannot keep a write-ahead log here (it offers '{mode}')"
        )));
    }
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    if tables == 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        // A newcomer should find a door to walk through.
        transaction.execute(
            "INSERT INTO rooms (name, created_ms) VALUES ('lobby', ?1)",
            [super::writer::now_ms()],
        )?;
        transaction.commit()?;
    } else if version == 1 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(FROM_VERSION_1)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
    }
    // Before anybody relies on it.
    probe(connection)?;
    Ok(())
}

/// Proves that the database can be written, by writing to its log what it says already.
///
/// # Errors
///
/// What SQLite says. No transaction is left open then.
pub(super) fn probe(connection: &Connection) -> rusqlite::Result<()> {
    // A row that is set to what it was is not written; this always is.
    let write = format!("BEGIN IMMEDIATE; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT");
    execute(connection, &write)
}

/// More than the longest message takes, with what is written beside it.
const ROOM_BYTES: usize = 64 << 10;

/// Proves that there is room for a message, by storing something that is larger and is deleted
/// again: of a full disk a few bytes may be left.
///
/// # Errors
///
/// As [`probe`].
pub(super) fn probe_room(connection: &Connection) -> rusqlite::Result<()> {
    let write = format!(
        "BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS probe (room BLOB);
         INSERT INTO probe VALUES (zeroblob({ROOM_BYTES}));
         COMMIT;
         DROP TABLE probe"
    );
    execute(connection, &write)
}

fn execute(connection: &Connection, statements: &str) -> rusqlite::Result<()> {
    let probed = connection.execute_batch(statements);
    if !connection.is_autocommit() {
        // It fails only where there is nothing to take back.
        let _ = connection.execute_batch("ROLLBACK");
    }
    probed
}

fn load_rooms(connection: &Connection) -> rusqlite::Result<Vec<RoomSummary>> {
    let mut rooms = connection.prepare("SELECT name, last_seq, created_ms FROM rooms")?;
    let rooms = rooms.query_map([], |row| {
        let name: String = row.get(0)?;
        Ok(RoomSummary {
            name: Arc::from(name),
            people: 0,
            last_seq: row.get::<_, i64>(1)?.cast_unsigned(),
            created_ms: row.get::<_, i64>(2)?.cast_unsigned(),
        })
    })?;
    rooms.collect()
}

/// SQLite's words, with the likely cause where they say little.
fn explain(error: &rusqlite::Error, path: &Path) -> String {
    let shown = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            "it is not an SQLite database, or it is damaged".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt) => format!("it is damaged ({shown})"),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            format!(
                "SQLite must be able to write it and its directory {} ({shown})",
                parent.display()
            )
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("another program holds a lock on it ({shown})")
        }
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::open;
    use crate::config::Durability;

    fn refused(path: &std::path::Path) -> String {
        let line = open(path, Durability::Full, 1).expect_err("this must not open");
        assert!(
            line.contains(&path.display().to_string()) && !line.contains('\n'),
            "{line}"
        );
        line
    }

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("hangout.sqlite");
        (dir, path)
    }

    #[test]
    fn a_new_file_has_a_lobby_and_opens_again() {
        let (_dir, path) = scratch();
        for _ in 0..2 {
            let opened = open(&path, Durability::Full, 2).expect("opens");
            let names: Vec<_> = opened.rooms.iter().map(|room| &*room.name).collect();
            assert_eq!(names, ["lobby"]);
        }
    }

    #[test]
    fn each_refusal_says_why() {
        let (dir, path) = scratch();
        assert!(refused(dir.path()).contains("directory"));
        assert!(refused(&dir.path().join("no/such/file")).contains("does not exist"));

        fs::write(
            &path,
            "this was never a database, only some text that is long enough",
        )
        .unwrap();
        assert!(refused(&path).contains("not an SQLite database"));

        let foreign = dir.path().join("foreign.sqlite");
        rusqlite::Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE t (x)")
            .unwrap();
        assert!(refused(&foreign).contains("another program"));

        let ours = dir.path().join("ours.sqlite");
        let held = open(&ours, Durability::Normal, 1).expect("opens");
        assert!(refused(&ours).contains("another hangout"));
        held.writer.pragma_update(None, "user_version", 99).unwrap();
        drop(held);
        assert!(refused(&ours).contains("version 99"));
    }

    #[test]
    fn a_database_of_version_1_is_brought_up_to_date() {
        let (_dir, path) = scratch();
        let old = open(&path, Durability::Normal, 1).expect("opens");
        old.writer
            .execute_batch(
                "DROP INDEX messages_by_nonce;
                 CREATE UNIQUE INDEX messages_by_nonce ON messages (room_id, nonce)
                     WHERE nonce IS NOT NULL;
                 PRAGMA user_version = 1;
                 INSERT INTO messages VALUES (1, 1, 'Ada', 'hi', 'n', 0);",
            )
            .unwrap();
        drop(old);
        for _ in 0..2 {
            let new = open(&path, Durability::Normal, 1).expect("opens");
            let again = "INSERT OR IGNORE INTO messages VALUES (1, 2, ?1, 'hi', 'n', 0)";
            assert_eq!(new.writer.execute(again, ["Ada"]).unwrap(), 0);
            new.writer
                .execute("DELETE FROM messages WHERE name = 'Bob'", [])
                .unwrap();
            assert_eq!(new.writer.execute(again, ["Bob"]).unwrap(), 1);
        }
    }
}
