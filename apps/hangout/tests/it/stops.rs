//! A stop in mid-stream: what a reader was sent has no hole, so that coming back with `after`
//! brings all the rest.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::Client;
use crate::server::{Home, Server, wait_until};

/// Enough text that the kernel cannot hold what a few hundred messages need.
const TEXT_CHARS: usize = 40_000;
/// 32 MB, of which a quarter is read before the stop.
const MANY: u64 = 800;
const ARGS: [&str; 12] = [
    "--durability",
    "normal",
    "--rate",
    "1000000",
    "--burst",
    "1000000",
    "--max-message-chars",
    "40000",
    "--max-frame-bytes",
    "600000",
    "--queue",
    "100000",
];

/// What a reader has of a room: everything up to a number, checked as it comes.
struct Reading {
    client: Client,
    seen: u64,
}

impl Reading {
    fn join(server: &Server, name: &str, after: u64) -> Self {
        let (client, _) = Client::hello(server, name);
        let mut reading = Self {
            client,
            seen: after,
        };
        reading.ask_again();
        reading
    }

    /// Joins from where this reader is, in mid-stream too.
    fn ask_again(&mut self) {
        let frame = json!({"type": "join", "room": "lobby", "after": self.seen});
        // Writing fails once the server has closed.
        let _ = self
            .client
            .0
            .send(tungstenite::Message::text(frame.to_string()));
    }

    /// Takes the next event; false at the end.
    fn read_one(&mut self) -> bool {
        let Ok(event) = self.client.try_next() else {
            return false;
        };
        match event["type"].as_str() {
            Some("message") => self.take(&event),
            Some("joined") => {
                for message in event["messages"].as_array().expect("messages") {
                    // The page overlaps with what came live since it was asked for.
                    if message["seq"].as_u64() > Some(self.seen) {
                        self.take(message);
                    }
                }
            }
            _ => {}
        }
        true
    }

    fn take(&mut self, message: &Value) {
        let seq = message["seq"].as_u64().expect("seq");
        assert_eq!(seq, self.seen + 1, "a hole after {}", self.seen);
        self.seen = seq;
    }

    fn read_to_the_end(mut self) -> u64 {
        while self.read_one() {}
        self.seen
    }
}

/// Stores this many large messages and waits for each to be acknowledged.
fn say_many(server: &Server, count: u64) {
    let (mut writer, _) = Client::hello(server, "Writer");
    let text = "x".repeat(TEXT_CHARS);
    for n in 0..count {
        writer.say("lobby", &text, &format!("{n}"));
        assert!(writer.expect("ack")["seq"].as_u64().is_some());
    }
}

#[test]
fn readers_who_wake_up_at_the_stop_get_no_hole() {
    let home = Home::new();
    let args = [&ARGS[..], &["--drain", "60", "--page-size", "10000"]].concat();
    let server = home.start(&args);
    let mut readers: Vec<Reading> = (0..4)
        .map(|n| Reading::join(&server, &format!("Reader {n}"), 0))
        .collect();
    wait_until(|| server.get("/api/rooms/lobby").json()["people"] == 4);
    // Nobody reads, so the kernel's buffers fill, and the server waits for them to empty.
    say_many(&server, MANY);
    // They wake up, so that the server takes from their queues again, until the buffers are full.
    for reader in &mut readers {
        while reader.seen < MANY / 4 {
            assert!(reader.read_one());
        }
    }
    server.signal(Signal::TERM);
    wait_until(|| {
        server
            .try_get("/healthz")
            .is_none_or(|health| health.status == 503)
    });
    let readers: Vec<_> = readers
        .into_iter()
        .map(|reader| thread::spawn(move || reader.read_to_the_end()))
        .collect();
    let seen: Vec<u64> = readers
        .into_iter()
        .map(|reader| reader.join().expect("a reader"))
        .collect();
    let (status, _, printed) = server.wait();
    assert_eq!(status.code(), Some(0), "{printed}");
    come_back(&home, &args, &seen, MANY);
}

/// With `HANGOUT_STOPS=200` this is a search; as it is, a reminder.
#[test]
fn stops_under_load_leave_no_hole() {
    let stops = std::env::var("HANGOUT_STOPS").map_or(5, |stops| stops.parse().expect("a number"));
    for stop in 0..stops {
        let home = Home::new();
        let args = [&ARGS[..], &["--drain", "20", "--page-size", "10000"]].concat();
        let server = home.start(&args);
        let readers: Vec<_> = (0..6_u64)
            .map(|n| {
                let mut reading = Reading::join(&server, &format!("Reader {n}"), 0);
                thread::spawn(move || {
                    let mut count = 0_u64;
                    while reading.read_one() {
                        count += 1;
                        if n % 2 == 1 && count.is_multiple_of(16) {
                            reading.ask_again();
                        }
                        // This is what makes it slow.
                        thread::sleep(Duration::from_millis(4 * n));
                    }
                    reading.seen
                })
            })
            .collect();
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (client, _) = Client::hello(&server, &format!("Writer {writer}"));
                thread::spawn(move || write_on(client, writer))
            })
            .collect();
        let enough = 40 + (stop * 37) % 200;
        wait_until(|| server.get("/api/rooms/lobby").json()["last_seq"].as_u64() >= Some(enough));
        server.signal(Signal::TERM);
        let (status, _, printed) = server.wait();
        assert_eq!(status.code(), Some(0), "{printed}");
        let seen: Vec<u64> = readers
            .into_iter()
            .map(|reader| reader.join().expect("a reader"))
            .collect();
        let acknowledged: Vec<u64> = writers
            .into_iter()
            .map(|writer| writer.join().expect("a writer"))
            .collect();
        let least = seen.iter().chain(&acknowledged).max().copied();
        come_back(&home, &args, &seen, least.expect("somebody"));
    }
}

/// Writes without waiting until the connection ends; the newest message that was acknowledged.
fn write_on(mut client: Client, writer: usize) -> u64 {
    let text = "x".repeat(TEXT_CHARS);
    let (mut open, mut acknowledged) = (0, 0);
    for n in 0.. {
        let frame = json!({"type": "send", "room": "lobby", "text": text, "nonce": format!("{writer}-{n}")});
        if client
            .0
            .send(tungstenite::Message::text(frame.to_string()))
            .is_err()
        {
            break;
        }
        open += 1;
        while open > 4 {
            let Ok(event) = client.try_next() else {
                return acknowledged;
            };
            if event["type"] == "ack" {
                open -= 1;
                acknowledged = event["seq"].as_u64().expect("seq");
            }
        }
    }
    acknowledged
}

/// Each reader resumes where it was and gets everything there is.
fn come_back(home: &Home, args: &[&str], seen: &[u64], at_least: u64) {
    let server = home.start(args);
    let last = server.get("/api/rooms/lobby").json()["last_seq"]
        .as_u64()
        .expect("last_seq");
    assert!(last >= at_least, "{last} of {at_least} are there");
    for &seen in seen {
        let mut after = seen;
        while after < last {
            let path = format!("/api/rooms/lobby/messages?after={after}");
            let page = server.get(&path).json();
            for message in page["messages"].as_array().expect("messages") {
                assert_eq!(message["seq"], after + 1);
                after += 1;
            }
        }
    }
}
