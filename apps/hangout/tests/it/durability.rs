//! Nothing acknowledged is lost or doubled, however the server ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::server::{Home, Server};

/// What a writer knows when its connection is gone: the messages it was promised, and those it
/// cannot know about.
#[derive(Default)]
struct Account {
    name: String,
    acknowledged: BTreeMap<String, u64>,
    open: BTreeSet<String>,
}

/// Writes without a pause, with several messages under way, until the connection ends.
fn write_on(server: &Server, writer: usize, life: usize) -> std::thread::JoinHandle<Account> {
    let name = format!("writer {writer}");
    let (mut client, _) = Client::in_room(server, &name, "lobby");
    std::thread::spawn(move || {
        let mut account = Account {
            name,
            ..Account::default()
        };
        for count in 0.. {
            let nonce = format!("{life}-{writer}-{count}");
            account.open.insert(nonce.clone());
            let frame =
                format!(r#"{{"type":"send","room":"lobby","text":"{nonce}","nonce":"{nonce}"}}"#);
            if client.0.send(tungstenite::Message::text(frame)).is_err() {
                break;
            }
            while account.open.len() >= 8 {
                let Ok(event) = client.try_next() else {
                    return account;
                };
                if event["type"] == "ack" {
                    let nonce = event["nonce"].as_str().expect("a nonce").to_owned();
                    account.open.remove(&nonce);
                    account
                        .acknowledged
                        .insert(nonce, event["seq"].as_u64().expect("a seq"));
                }
            }
        }
        account
    })
}

fn all_messages(server: &Server) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all
            .last()
            .map_or(0, |message| message["seq"].as_u64().expect("seq"));
        let page = server
            .get(&format!("/api/rooms/lobby/messages?after={after}"))
            .json();
        all.extend(
            page["messages"]
                .as_array()
                .expect("messages")
                .iter()
                .cloned(),
        );
        if page["more"] == false {
            return all;
        }
    }
}

/// Every promise kept, nothing twice, no gap in the numbers.
fn check(messages: &[Value], accounts: &[Account]) {
    let mut by_nonce = BTreeMap::new();
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(message["seq"], index as u64 + 1, "a gap in the sequence");
        let nonce = message["text"].as_str().expect("text").to_owned();
        let seq = message["seq"].as_u64().expect("seq");
        assert_eq!(by_nonce.insert(nonce, seq), None, "stored twice: {message}");
    }
    for account in accounts {
        for (nonce, seq) in &account.acknowledged {
            assert_eq!(
                by_nonce.get(nonce),
                Some(seq),
                "acknowledged and lost: {nonce}"
            );
        }
    }
}

fn wait_for_messages(server: &Server, count: u64) {
    let start = Instant::now();
    while server.get("/api/rooms/lobby").json()["last_seq"].as_u64() < Some(count) {
        assert!(
            start.elapsed() < crate::server::PATIENCE,
            "nothing is being written"
        );
    }
}

#[test]
fn kill_9_loses_nothing_acknowledged_and_resending_doubles_nothing() {
    for durability in ["full", "normal"] {
        let home = Home::new();
        let args = [
            "--rate",
            "1000000",
            "--burst",
            "1000000",
            "--durability",
            durability,
        ];
        let mut accounts = Vec::new();
        let mut stored = 0;
        for life in 0..4 {
            let server = home.start(&args);
            let writers: Vec<_> = (0..3)
                .map(|writer| write_on(&server, writer, life))
                .collect();
            wait_for_messages(&server, stored + 60);
            server.kill();
            accounts.extend(
                writers
                    .into_iter()
                    .map(|writer| writer.join().expect("a writer")),
            );

            let server = home.start(&args);
            let messages = all_messages(&server);
            check(&messages, &accounts);
            // What a client cannot know about it sends again, with the same nonce.
            for account in &mut accounts {
                let (mut client, _) = Client::hello(&server, &account.name);
                for nonce in std::mem::take(&mut account.open) {
                    client.say("lobby", &nonce, &nonce);
                    let ack = client.expect("ack");
                    account
                        .acknowledged
                        .insert(nonce, ack["seq"].as_u64().expect("seq"));
                }
            }
            let messages = all_messages(&server);
            check(&messages, &accounts);
            stored = messages.len() as u64;
            server.kill();
        }
        assert!(
            accounts
                .iter()
                .map(|account| account.acknowledged.len())
                .sum::<usize>()
                >= 240
        );
    }
}

#[test]
fn sigterm_says_goodbye_stores_all_and_frees_the_port() {
    let home = Home::new();
    let server = home.start(&["--rate", "1000000", "--burst", "1000000"]);
    let (mut reader, _) = Client::in_room(&server, "Reader", "lobby");
    let writers: Vec<_> = (0..2).map(|writer| write_on(&server, writer, 0)).collect();
    wait_for_messages(&server, 50);
    let address = server.address;
    server.signal(Signal::TERM);
    let (code, reason, events) = reader.closed();
    assert_eq!(code, 1001);
    assert!(reason.contains("stopping"), "{reason}");
    let (status, took, printed) = server.wait();
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(took < Duration::from_secs(5), "took {took:?}");
    assert!(printed.contains("everything is stored"), "{printed}");
    let refused = TcpStream::connect(address)
        .expect_err("the port is closed")
        .kind();
    assert_eq!(refused, ErrorKind::ConnectionRefused);

    let accounts: Vec<_> = writers
        .into_iter()
        .map(|writer| writer.join().expect("a writer"))
        .collect();
    let again = home.start_at(&address.to_string(), &[]);
    let messages = all_messages(&again);
    check(&messages, &accounts);
    // A reader has seen nothing that is not there now.
    let seen = events.iter().filter(|event| event["type"] == "message");
    for event in seen {
        let seq = event["seq"].as_u64().expect("seq");
        assert_eq!(
            messages[usize::try_from(seq).expect("small") - 1]["text"],
            event["text"]
        );
    }
}

#[test]
fn ctrl_c_with_nobody_there_takes_no_time() {
    let home = Home::new();
    let server = home.start(&[]);
    server.signal(Signal::INT);
    let (status, took, printed) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(1), "took {took:?}");
    assert!(
        printed.contains("ctrl-c: stopping") && printed.contains("stopped"),
        "{printed}"
    );
    let left: Vec<_> = std::fs::read_dir(home.path())
        .expect("home")
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "only the database is left: {left:?}");
}

#[test]
fn a_client_that_does_not_answer_is_not_waited_for_long() {
    let home = Home::new();
    let server = home.start(&["--drain", "1"]);
    let (_deaf, _) = Client::in_room(&server, "Deaf", "lobby");
    server.signal(Signal::TERM);
    let (status, took, printed) = server.wait();
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(took < Duration::from_secs(4), "took {took:?}");
    assert!(
        printed.contains("cut off after 1 s: the chat of 'Deaf'"),
        "{printed}"
    );
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let home = Home::new();
    let server = home.start(&["--drain", "60", "--chaos"]);
    let (mut deaf, _) = Client::in_room(&server, "Deaf", "lobby");
    server.signal(Signal::INT);
    // The goodbye shows that the first one has been heard; it goes unanswered.
    let goodbye = loop {
        if deaf.read().expect("a goodbye").is_close() {
            break Instant::now();
        }
    };
    server.signal(Signal::INT);
    let (status, _, _) = server.wait();
    assert_eq!(status.code(), Some(130));
    assert!(goodbye.elapsed() < Duration::from_secs(1));
}
