//! The JSON API, and the page's files.

use crate::client::Client;
use crate::server::Home;

#[test]
fn the_page_is_served_with_its_guards() {
    let server = Home::new();
    let server = server.start(&[]);
    for (path, kind) in [
        ("/", "text/html"),
        ("/style.css", "text/css"),
        ("/app.js", "text/javascript"),
        ("/link.js", "text/javascript"),
        ("/favicon.svg", "image/svg+xml"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.head.contains(&format!("content-type: {kind}")),
            "{}",
            answer.head
        );
        assert!(
            answer
                .head
                .contains("content-security-policy: default-src 'none'")
        );
        assert!(
            !answer.body.contains("http://") || path == "/favicon.svg",
            "{path} looks outside"
        );
        let etag = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix("etag: "))
            .expect("an etag");
        let again = server.request("GET", path, &[&format!("if-none-match: {etag}")], "");
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }
}

#[test]
fn rooms_are_made_listed_and_refused() {
    let home = Home::new();
    let server = home.start(&["--max-rooms", "3"]);
    let lobby = &server.get("/api/rooms").json()["rooms"][0];
    assert_eq!(
        (lobby["name"].as_str(), lobby["last_seq"].as_u64()),
        (Some("lobby"), Some(0))
    );

    let made = server.post("/api/rooms", r#"{"name":" tea / coffee "}"#);
    assert_eq!(
        (made.status, made.json()["name"].as_str()),
        (201, Some("tea / coffee"))
    );
    assert_eq!(
        server.get("/api/rooms/tea%20%2F%20coffee").json()["name"],
        "tea / coffee"
    );
    server
        .post("/api/rooms", r#"{"name":"tea / coffee"}"#)
        .refused(409, "room_exists");
    server
        .post("/api/rooms", r#"{"name":"\u0007"}"#)
        .refused(400, "bad_room_name");
    server
        .post("/api/rooms", r#"{"name":".."}"#)
        .refused(400, "bad_room_name");
    server
        .post("/api/rooms", r#"{"nom":"x"}"#)
        .refused(400, "bad_request");
    assert_eq!(server.post("/api/rooms", r#"{"name":"third"}"#).status, 201);
    server
        .post("/api/rooms", r#"{"name":"fourth"}"#)
        .refused(403, "too_many_rooms");
    server
        .get("/api/rooms/nowhere")
        .refused(404, "unknown_room");

    let (_ada, _) = Client::in_room(&server, "Ada", "lobby");
    let (_ada_again, _) = Client::in_room(&server, "Ada", "lobby");
    let room = server.get("/api/rooms/lobby").json();
    assert_eq!(room["people"], 1);
    assert_eq!(
        room["who"],
        serde_json::json!([{"name": "Ada", "connections": 2}])
    );
    let health = server.get("/healthz").json();
    assert_eq!(
        health,
        serde_json::json!({"status": "ok", "rooms": 3, "connections": 2})
    );
}

#[test]
fn messages_are_stored_once_and_paged() {
    let home = Home::new();
    let server = home.start(&["--page-size", "4"]);
    let path = "/api/rooms/lobby/messages";
    for count in 1..=6 {
        let body = format!(r#"{{"name":"Ada","text":"number {count}","nonce":"n{count}"}}"#);
        let sent = server.post(path, &body);
        assert_eq!(
            (sent.status, sent.json()["seq"].as_u64()),
            (201, Some(count))
        );
    }
    let again = server.post(path, r#"{"name":"Ada","text":"number 6","nonce":"n6"}"#);
    assert_eq!((again.status, again.json()["seq"].as_u64()), (200, Some(6)));
    server
        .post(path, r#"{"name":"Ada","text":"not number 6","nonce":"n6"}"#)
        .refused(409, "nonce_reused");
    // Without a nonce the same text may be said twice.
    for seq in [7, 8] {
        assert_eq!(
            server
                .post(path, r#"{"name":"Bob","text":"me too"}"#)
                .json()["seq"],
            seq
        );
    }

    let page = |query: &str| {
        let page = server.get(&format!("{path}?{query}")).json();
        let messages = page["messages"].as_array().expect("messages").iter();
        let seqs: Vec<u64> = messages
            .map(|m| m["seq"].as_u64().expect("a number"))
            .collect();
        assert_eq!(page["last_seq"], 8);
        (seqs, page["more"].as_bool().expect("more"))
    };
    assert_eq!(page(""), (vec![5, 6, 7, 8], true));
    assert_eq!(page("before=5"), (vec![1, 2, 3, 4], false));
    assert_eq!(page("before=5&limit=2"), (vec![3, 4], true));
    assert_eq!(page("after=2&limit=3"), (vec![3, 4, 5], true));
    assert_eq!(page("after=6"), (vec![7, 8], false));
    assert_eq!(page("after=8"), (vec![], false));
    assert_eq!(page("limit=1000000"), (vec![5, 6, 7, 8], true));
    assert_eq!(page("before=18446744073709551615&limit=1"), (vec![8], true));
    server
        .get(&format!("{path}?before=1&after=1"))
        .refused(400, "bad_request");
    server
        .get(&format!("{path}?before=x"))
        .refused(400, "bad_request");
}

#[test]
fn mistakes_get_a_clear_answer() {
    let home = Home::new();
    let server = home.start(&["--max-message-chars", "20", "--max-frame-bytes", "2000"]);
    let path = "/api/rooms/lobby/messages";
    server.post(path, "{").refused(400, "bad_json");
    server.post(path, "\u{1}\u{2}").refused(400, "bad_json");
    server.post(path, "[1,2]").refused(400, "bad_request");
    server
        .post(path, r#"{"name":"Ada"}"#)
        .refused(400, "bad_request");
    server
        .post(path, r#"{"name":"","text":"x"}"#)
        .refused(400, "bad_name");
    server
        .post(path, r#"{"name":"Ada","text":" \n "}"#)
        .refused(400, "bad_text");
    server
        .post(path, r#"{"name":"Ada","text":"\u001b[31m"}"#)
        .refused(400, "bad_text");
    server
        .post(path, r#"{"name":"Ada","text":"x","nonce":"a b"}"#)
        .refused(400, "bad_nonce");
    let long = format!(r#"{{"name":"Ada","text":"{}"}}"#, "x".repeat(21));
    server.post(path, &long).refused(413, "text_too_long");
    server
        .post(path, &"x".repeat(2001))
        .refused(413, "frame_too_large");
    server
        .post("/api/rooms/nowhere/messages", r#"{"name":"A","text":"x"}"#)
        .refused(404, "unknown_room");
    server
        .request("POST", path, &[], r#"{"name":"Ada","text":"x"}"#)
        .refused(400, "bad_request");
    server.get("/api/nothing").refused(404, "not_found");
    server
        .request("DELETE", "/api/rooms", &[], "")
        .refused(405, "method_not_allowed");
    server.get("/ws").refused(400, "bad_request");
    assert_eq!(server.get("/api").json()["limits"]["message_chars"], 20);
    assert_eq!(server.get("/api/rooms/lobby").json()["last_seq"], 0);
}

#[test]
fn chaos_only_when_asked_for() {
    let home = Home::new();
    let server = home.start(&[]);
    server
        .post("/chaos/block?ms=1", "")
        .refused(404, "not_found");
    drop(server);
    let server = home.start(&["--chaos"]);
    for kind in ["sleep", "spin"] {
        let blocked = server
            .post(&format!("/chaos/block?ms=20&kind={kind}"), "")
            .json();
        assert!(blocked["blocked_ms"].as_u64() >= Some(20), "{blocked}");
    }
    server
        .post("/chaos/block?ms=60001", "")
        .refused(400, "bad_request");
    server
        .post("/chaos/block?ms=1&kind=wait", "")
        .refused(400, "bad_request");
    server.post("/chaos/block", "").refused(400, "bad_request");
    server
        .get("/chaos/block?ms=1")
        .refused(405, "method_not_allowed");
}
