//! What happens at each limit, to the one who reaches it and to the others.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::json;
use tungstenite::{Error, Message};

use crate::client::Client;
use crate::server::{Home, PATIENCE, wait_until};

#[test]
fn too_many_frames_are_refused_and_a_flood_is_ended() {
    let home = Home::new();
    let server = home.start(&["--rate", "1", "--burst", "5"]);
    let (mut client, _) = Client::hello(&server, "Hasty");
    for count in 0..5 {
        client.say("lobby", "x", &format!("n{count}"));
    }
    client.say("lobby", "one too many", "late");
    let mut acks = 0;
    let error = loop {
        let event = client.try_next().expect("still connected");
        match event["type"].as_str() {
            Some("ack") => acks += 1,
            Some("error") => break event,
            _ => {}
        }
    };
    assert_eq!(
        (&error["code"], &error["nonce"]),
        (&json!("rate_limited"), &json!("late"))
    );
    let wait = error["retry_after_ms"].as_u64().expect("a time to wait");
    assert!((1..=1_100).contains(&wait), "{wait}");
    while acks < 5 {
        client.expect("ack");
        acks += 1;
    }
    std::thread::sleep(Duration::from_millis(wait));
    client.say("lobby", "one too many", "late");
    client.expect("ack");
    // Who does not listen is sent away. Writing may fail once that has happened.
    while client.0.send(Message::text(r#"{"type":"ping"}"#)).is_ok() {}
    assert_eq!(server.get("/api/rooms/lobby").json()["last_seq"], 6);
}

#[test]
fn connections_origins_and_silence() {
    let home = Home::new();
    let server = home.start(&[
        "--max-connections",
        "2",
        "--hello-timeout",
        "1",
        "--allow-origin",
        "https://friend.example",
    ]);
    let upgrade = [
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "origin: https://friend.example",
    ];
    let mut foreign = upgrade;
    foreign[3] = "origin: https://evil.example";
    server
        .request("GET", "/ws", &foreign, "")
        .refused(403, "foreign_origin");

    let (first, _) = Client::hello(&server, "One");
    let mut silent = Client::connect(server.address);
    server
        .request("GET", "/ws", &upgrade, "")
        .refused(503, "too_many_connections");
    let (code, reason, _) = silent.closed();
    assert_eq!(code, 1008);
    assert!(reason.contains("hello"), "{reason}");
    // The seat of the silent one is free once its connection is over, as is that of the first.
    drop((silent, first));
    wait_until(|| server.get("/healthz").json()["connections"] == 0);
    let (_third, _) = Client::hello(&server, "Three");
}

#[test]
fn a_slow_reader_is_told_and_dropped_and_nobody_else_waits() {
    let home = Home::new();
    let server = home.start(&["--queue", "16", "--rate", "100000", "--burst", "100000"]);
    let mut slow = Client::connect_narrow(server.address);
    slow.send(&json!({"type": "hello", "name": "Slow"}));
    slow.expect("welcome");
    slow.join("lobby");
    let (mut quick, _) = Client::in_room(&server, "Quick", "lobby");
    let (mut writer, _) = Client::hello(&server, "Writer");
    let text = "x".repeat(4_000);
    let mut sent = 0;
    // What the kernel holds back for a reader is several megabytes, so this takes a while.
    let dropped = loop {
        sent += 1;
        writer.say("lobby", &text, &format!("n{sent}"));
        writer.expect("ack");
        assert_eq!(quick.expect("message")["seq"], sent);
        let people = server.get("/api/rooms/lobby").json();
        if !people["who"]
            .as_array()
            .expect("people")
            .iter()
            .any(|who| who["name"] == "Slow")
        {
            break Instant::now();
        }
        assert!(
            sent < 20_000,
            "80 MB waiting, and the slow reader is still there"
        );
    };
    let (code, reason, events) = slow.closed();
    assert_eq!(code, 1013);
    assert!(reason.contains("too slow"), "{reason}");
    assert!(
        events
            .iter()
            .filter(|event| event["type"] == "message")
            .count()
            < sent
    );
    assert!(dropped.elapsed() < PATIENCE);
    writer.say("lobby", "after", "after");
    assert_eq!(quick.expect("message")["text"], "after");
}

#[test]
fn a_peer_that_is_silent_to_pings_is_let_go() {
    let home = Home::new();
    let server = home.start(&["--ping", "1"]);
    let (lost, _) = Client::in_room(&server, "Lost", "lobby");
    let (mut awake, _) = Client::in_room(&server, "Awake", "lobby");
    // Reading is what answers pings, so the one who reads stays and the other one goes.
    loop {
        let presence = awake.expect("presence");
        if presence["left"] == json!(["Lost"]) {
            break;
        }
    }
    drop(lost);
    awake.send(&json!({"type": "ping"}));
    awake.expect("pong");
}

#[test]
fn a_crowd_hears_one_voice() {
    const CROWD: usize = 400;
    let home = Home::new();
    let server = home.start(&[]);
    let mut crowd: Vec<Client> = (0..CROWD)
        .map(|n| Client::in_room(&server, &format!("p{n}"), "lobby").0)
        .collect();
    let room = server.get("/api/rooms/lobby").json();
    assert_eq!(room["people"], CROWD);
    crowd[0].say("lobby", "can you all hear me?", "n");
    for client in &mut crowd {
        assert_eq!(client.expect("message")["text"], "can you all hear me?");
    }
    // Arrivals are announced together: everybody was told of everybody, in few events.
    let last = crowd.last_mut().expect("a crowd");
    last.0
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(1)))
        .expect("a timeout");
    loop {
        match last.try_next() {
            Ok(_) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    drop(crowd);
    wait_until(|| server.get("/healthz").json()["connections"] == 0);
    assert_eq!(server.get("/api/rooms/lobby").json()["people"], 0);
}
