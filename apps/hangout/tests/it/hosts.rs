//! A page of another site whose name leads here (DNS rebinding) gets nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::server::{Home, PATIENCE, Server};

const MESSAGES: &str = "/api/rooms/lobby/messages";
const BODY: &str = r#"{"name":"Eve","text":"hi"}"#;
const JSON: &str = "content-type: application/json";
const UPGRADE: [&str; 3] = [
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

#[test]
fn a_strange_name_reaches_nothing() {
    let home = Home::new();
    let server = home.start(&["--host", "chat.example"]);
    let evil = format!("host: evil.example:{}", server.address.port());
    let origin = format!("origin: http://evil.example:{}", server.address.port());
    for path in ["/", "/healthz", "/api/rooms", MESSAGES, "/nothing"] {
        let answer = server.request("GET", path, &[&evil], "");
        answer.refused(421, "unknown_host");
        assert!(answer.body.contains("--host"), "{answer:?}");
    }
    for headers in [&[&evil, JSON][..], &[&evil, &origin, JSON]] {
        server
            .request("POST", MESSAGES, headers, BODY)
            .refused(421, "unknown_host");
    }
    // The browser calls it one origin, which is why the origin alone says nothing.
    let upgrade = [&[&*evil, &*origin][..], &UPGRADE].concat();
    server
        .request("GET", "/ws", &upgrade, "")
        .refused(421, "unknown_host");
    assert_eq!(server.get("/api/rooms/lobby").json()["last_seq"], 0);

    for own in [
        "host: localhost",
        "host: chat.example",
        "host: CHAT.example.:443",
    ] {
        assert_eq!(
            server.request("GET", "/api", &[own], "").status,
            200,
            "{own}"
        );
        let posted = server.request("POST", MESSAGES, &[own, JSON], BODY);
        assert_eq!(posted.status, 201, "{own}");
    }
}

#[test]
fn one_host_is_named_in_whatever_form() {
    let home = Home::new();
    let server = home.start(&[]);
    let status = |target: &str, version: &str, hosts: &[&str]| {
        let hosts: String = hosts
            .iter()
            .map(|host| format!("host: {host}\r\n"))
            .collect();
        let request = format!("GET {target} HTTP/{version}\r\n{hosts}connection: close\r\n\r\n");
        server.exchange(&request).expect("an answer").status
    };
    for (target, version, hosts, expected) in [
        ("/api", "1.1", &["localhost"][..], 200),
        ("/api", "1.1", &[], 400),
        ("/api", "1.0", &[], 400),
        ("/api", "1.1", &["localhost", "localhost"], 400),
        ("/api", "1.1", &["localhost", "evil.example"], 400),
        ("http://localhost/api", "1.1", &["localhost"], 200),
        ("http://evil.example/api", "1.1", &["localhost"], 421),
        ("http://localhost/api", "1.1", &["evil.example"], 421),
    ] {
        assert_eq!(
            status(target, version, hosts),
            expected,
            "{target} {version} {hosts:?}"
        );
    }
}

#[test]
fn http2_names_its_host_too() {
    let home = Home::new();
    let server = home.start(&[]);
    let (head, _) = get_by_http2(&server, "localhost");
    assert_eq!(head[0], 0x88, "status 200, as the table of HPACK has it");
    let (head, body) = get_by_http2(&server, "evil.example");
    assert_ne!(head[0], 0x88);
    assert!(body.contains("unknown_host"), "{body}");
}

/// `GET /` on a connection of its own: the header block of the answer, and its body.
fn get_by_http2(server: &Server, authority: &str) -> (Vec<u8>, String) {
    let mut stream = TcpStream::connect(server.address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let length = u8::try_from(authority.len()).expect("short");
    // `:method GET`, `:scheme http`, `:path /` from the table, then `:authority` in full.
    let block = [&[0x82, 0x86, 0x84, 0x01, length][..], authority.as_bytes()].concat();
    let length = u8::try_from(block.len()).expect("short");
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    sent.extend([0, 0, length, 1, 0b101, 0, 0, 0, 1]);
    sent.extend(block);
    stream.write_all(&sent).expect("the server reads");
    let (mut block, mut body) = (Vec::new(), Vec::new());
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("small")];
        stream.read_exact(&mut payload).expect("a frame");
        match head[3] {
            0 => body.extend(payload),
            1 => block = payload,
            _ => continue,
        }
        if head[4] & 1 == 1 {
            return (block, String::from_utf8(body).expect("text"));
        }
    }
}
