//! Strangers who hold connections: without a head, without a body, without reading, silent.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::client::Client;
use crate::server::{Home, PATIENCE, Server, wait_until};

const HALF_A_POST: &str = "POST /api/rooms HTTP/1.1\r\nhost: localhost\r\n\
     content-type: application/json\r\ncontent-length: 20\r\n\r\n";

fn connect(server: &Server, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(sent.as_bytes()).expect("the server reads");
    stream
}

fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an end");
    answer
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let home = Home::new();
    let server = home.start(&["--read-timeout", "1"]);
    for sent in ["", r#"{"name"#] {
        let answer = read_to_end(connect(&server, &format!("{HALF_A_POST}{sent}")));
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("body_timeout"), "{answer}");
    }
    // Neither is a head.
    assert_eq!(read_to_end(connect(&server, "")), "");
    assert_eq!(read_to_end(connect(&server, "GET / HTTP/1.1\r\nhost:")), "");
}

#[test]
fn every_connection_counts_and_one_too_many_is_told() {
    let home = Home::new();
    let server = home.start(&["--max-connections", "5", "--read-timeout", "3"]);
    let (mut chat, _) = Client::in_room(&server, "Ada", "lobby");
    // One in the handshake, one before its request, one in the middle of it, one between two.
    let handshake = Client::connect(server.address);
    let holding = [
        connect(&server, ""),
        connect(&server, HALF_A_POST),
        connect(&server, "GET /api HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    ];
    wait_until(|| server.get("/api").status == 503);
    let refused = server.get("/api");
    refused.refused(503, "too_many_connections");
    assert!(refused.head.contains("connection: close"), "{refused:?}");
    server
        .request("GET", "/ws", &["upgrade: websocket"], "")
        .refused(503, "too_many_connections");
    // A full server is well, and serves those who are in.
    assert_eq!(server.get("/healthz").status, 200);
    chat.say("lobby", "full house", "n");
    assert_eq!(chat.expect("message")["text"], "full house");
    // The ones that do nothing are let go, and then there is room.
    wait_until(|| server.get("/api").status == 200);
    drop((holding, handshake));
}

#[test]
fn a_response_and_a_chat_that_nobody_reads_are_given_up() {
    let home = Home::new();
    let mut server = home.start_logged(&[
        "--write-timeout",
        "1",
        "--max-message-chars",
        "40000",
        "--max-frame-bytes",
        "600000",
        "--rate",
        "1000000",
        "--burst",
        "1000000",
        "--queue",
        "100000",
        "--page-size",
        "10000",
        "--durability",
        "normal",
        "--max-connections",
        "4",
        "--log",
        "error",
    ]);
    drop(server.log());
    let mut deaf = Client::connect_narrow(server.address);
    deaf.send(&json!({"type": "hello", "name": "Deaf"}));
    deaf.expect("welcome");
    deaf.join("lobby");
    let (mut writer, _) = Client::hello(&server, "Writer");
    let text = "x".repeat(40_000);
    // More than the kernel keeps for a reader, and no more: the queue does not overflow.
    for n in 0..500 {
        writer.say("lobby", &text, &format!("n{n}"));
        writer.expect("ack");
    }
    wait_until(|| server.get("/api/rooms/lobby").json()["people"] == 0);

    drop(deaf);

    // Together with the writer these are all that may be here, and more.
    let request =
        "GET /api/rooms/lobby/messages HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let holding: Vec<_> = (0..4).map(|_| connect(&server, request)).collect();
    wait_until(|| server.get("/api").status == 503);
    wait_until(|| server.get("/api").status == 200);
    let short = holding.into_iter().map(read_to_end).filter(|answer| {
        // One that came before another was counted out may have been one too many.
        answer.starts_with("HTTP/1.1 200") && answer.len() < 500 * 40_000
    });
    assert!(short.count() > 0);
}
