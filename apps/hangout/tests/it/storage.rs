//! A database that goes bad while it is used: nothing is acknowledged that will not be found
//! again, `/healthz` says so, and the log says it once.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::process::ChildStderr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use crate::client::Client;
use crate::server::{Home, Server};

const MESSAGES: &str = "/api/rooms/lobby/messages";

fn post(server: &Server, text: &str) -> crate::server::Answer {
    let body = json!({"name": "Ada", "text": text, "nonce": text.get(..8)}).to_string();
    server.post(MESSAGES, &body)
}

/// Checks that nothing is stored and that it is said.
fn refuses(server: &Server, why: &str) {
    let health = server.get("/healthz");
    assert_eq!(health.status, 503, "{health:?}");
    assert_eq!(health.json()["status"], "failing");
    let problem = health.json()["problem"].to_string();
    assert!(problem.contains(why), "{problem}");
    for _ in 0..3 {
        post(server, "refused.").refused(503, "storage");
    }
    let (mut client, _) = Client::hello(server, "Bob");
    client.say("lobby", "refused", "r");
    client.expect_error("storage");
}

fn is_well(server: &Server) {
    let health = server.get("/healthz");
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &json!("ok"))
    );
}

/// Gathers the log while the server runs, so that it never waits for its reader.
fn lines_of(log: ChildStderr) -> JoinHandle<Vec<String>> {
    thread::spawn(move || BufReader::new(log).lines().map_while(Result::ok).collect())
}

fn errors(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| line.contains("ERROR")).collect()
}

#[test]
fn a_deleted_database_acknowledges_nothing_and_is_not_called_stored() {
    let home = Home::new();
    let mut server = home.start_logged(&[]);
    let log = lines_of(server.log());
    assert_eq!(post(&server, "before..").status, 201);
    is_well(&server);
    fs::remove_file(home.db()).expect("the database");
    refuses(&server, "deleted or moved");
    server.signal(Signal::TERM);
    let (status, _, printed) = server.wait();
    assert_eq!(status.code(), Some(1), "{printed}");
    assert!(!printed.contains("everything is stored"), "{printed}");
    let lines = log.join().expect("the log");
    let [line] = errors(&lines)[..] else {
        panic!("not one line: {lines:#?}")
    };
    assert!(line.contains(home.db().to_str().expect("text")), "{line}");
    let last = lines.last().expect("a complaint");
    assert!(
        last.starts_with("hangout: ") && last.contains("deleted"),
        "{last}"
    );
}

#[test]
fn a_database_that_comes_back_is_used_again() {
    let home = Home::new();
    let server = home.start(&[]);
    let aside = home.path().join("aside");
    fs::rename(home.db(), &aside).expect("the database");
    refuses(&server, "deleted or moved");
    fs::write(home.db(), "another").expect("another file");
    refuses(&server, "replaced");
    fs::rename(&aside, home.db()).expect("the database");
    is_well(&server);
    assert_eq!(post(&server, "it-is-back").status, 201);
    server.signal(Signal::TERM);
    let (status, _, printed) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(printed.contains("everything is stored"), "{printed}");
}

/// The disk of one process: files may not grow any more.
#[test]
fn a_full_disk_is_said_and_is_over_when_there_is_room() {
    let home = Home::new();
    let mut server = home.start_ignoring_file_limit(&[
        "--max-message-chars",
        "40000",
        "--max-frame-bytes",
        "600000",
    ]);
    let log = lines_of(server.log());
    let large = format!("large...{}", "x".repeat(30_000));
    assert_eq!(post(&server, "before..").status, 201);
    let limit = |bytes| {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(server.pid()), Resource::Fsize, limit).expect("a limit");
    };
    limit(Some(1));
    for _ in 0..3 {
        post(&server, &large).refused(503, "storage");
    }
    refuses(&server, "cannot be written");
    limit(None);
    is_well(&server);
    assert_eq!(post(&server, &large).status, 201);
    server.signal(Signal::TERM);
    let (status, _, printed) = server.wait();
    assert_eq!(status.code(), Some(0), "{printed}");
    let lines = log.join().expect("the log");
    assert_eq!(errors(&lines).len(), 1, "{lines:#?}");
}

#[test]
fn what_cannot_be_read_stops_the_writing_until_it_can() {
    let home = Home::new();
    let server = home.start(&["--durability", "normal"]);
    for n in 0..40 {
        let text = format!("{n:08}{}", "x".repeat(3_000));
        assert_eq!(post(&server, &text).status, 201);
    }
    server.signal(Signal::TERM);
    server.wait();
    // Nothing but the rooms has been read by the next one, so the pages are read from the file.
    let mut server = home.start_logged(&[]);
    let log = lines_of(server.log());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(home.db())
        .expect("the database");
    let (mut sound, from) = (Vec::new(), 10 * 4096);
    (&file).seek(SeekFrom::Start(from)).expect("pages");
    (&file).read_to_end(&mut sound).expect("pages");
    file.write_all_at(&vec![0xff; sound.len()], from)
        .expect("damage");
    for _ in 0..3 {
        server
            .get(&format!("{MESSAGES}?after=0"))
            .refused(503, "storage");
    }
    refuses(&server, "cannot be read");
    file.write_all_at(&sound, from).expect("repair");
    is_well(&server);
    assert_eq!(post(&server, "it-is-back").status, 201);
    server.signal(Signal::TERM);
    let (status, _, printed) = server.wait();
    assert_eq!(status.code(), Some(0), "{printed}");
    let lines = log.join().expect("the log");
    assert_eq!(errors(&lines).len(), 1, "{lines:#?}");
}

/// Opening waits for whoever writes to the database at that moment; the loop does not.
#[test]
fn a_slow_start_is_no_stall() {
    let home = Home::new();
    home.start(&[]).kill();
    let other = Connection::open(home.db()).expect("the database");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let mut log = Vec::new();
    thread::scope(|scope| {
        let starting = scope.spawn(|| home.start_logged(&[]));
        // Long beyond the stall budget, and below SQLite's own patience.
        thread::sleep(Duration::from_millis(500));
        other
            .execute_batch("ROLLBACK")
            .expect("the lock given back");
        let mut server = starting.join().expect("a start");
        let mut stderr = server.log();
        server.signal(Signal::TERM);
        server.wait();
        stderr.read_to_end(&mut log).expect("the log");
    });
    let log = String::from_utf8(log).expect("text");
    let opening = ["src/store/open.rs", "rusqlite", "block_on"];
    assert!(!opening.iter().any(|word| log.contains(word)), "{log}");
}
