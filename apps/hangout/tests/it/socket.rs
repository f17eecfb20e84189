//! The WebSocket protocol.

use serde_json::json;
use tungstenite::Message;

use crate::client::Client;
use crate::server::Home;

#[test]
fn two_people_talk() {
    let home = Home::new();
    let server = home.start(&[]);
    let (mut ada, welcome) = Client::hello(&server, " Ada ");
    assert_eq!(welcome["name"], "Ada");
    assert_eq!(welcome["rooms"][0]["name"], "lobby");
    assert_eq!(welcome["limits"]["message_chars"], 4000);
    let joined = ada.join("lobby");
    assert_eq!(
        (&joined["people"], &joined["messages"]),
        (&json!(["Ada"]), &json!([]))
    );

    let (mut bob, joined) = Client::in_room(&server, "Bob", "lobby");
    assert_eq!(joined["people"], json!(["Ada", "Bob"]));
    loop {
        // Ada's own arrival may be announced first.
        let presence = ada.expect("presence");
        if presence["joined"]
            .as_array()
            .expect("names")
            .contains(&json!("Bob"))
        {
            assert_eq!(presence["people"], 2);
            break;
        }
    }
    ada.say("lobby", "hello <b>Bob</b>", "a1");
    let ack = ada.expect("ack");
    assert_eq!(
        (&ack["nonce"], &ack["seq"], &ack["duplicate"]),
        (&json!("a1"), &json!(1), &json!(false))
    );
    for client in [&mut ada, &mut bob] {
        let message = client.expect("message");
        assert_eq!(
            (&message["seq"], &message["name"]),
            (&json!(1), &json!("Ada"))
        );
        assert_eq!(message["text"], "hello <b>Bob</b>");
    }
    // The same again is the same message, and nobody hears it twice.
    ada.say("lobby", "hello <b>Bob</b>", "a1");
    let ack = ada.expect("ack");
    assert_eq!((&ack["seq"], &ack["duplicate"]), (&json!(1), &json!(true)));
    ada.say("lobby", "bye", "a2");
    assert_eq!(bob.expect("message")["seq"], 2);

    drop(ada);
    assert_eq!(bob.expect("presence")["left"], json!(["Ada"]));
}

#[test]
fn several_tabs_are_one_person() {
    let home = Home::new();
    let server = home.start(&[]);
    let (mut bob, _) = Client::in_room(&server, "Bob", "lobby");
    let (first, _) = Client::in_room(&server, "Ada", "lobby");
    let (second, joined) = Client::in_room(&server, "Ada", "lobby");
    assert_eq!(joined["people"], json!(["Ada", "Bob"]));
    drop(first);
    drop(second);
    let mut came = 0;
    loop {
        let presence = bob.expect("presence");
        came += usize::from(
            presence["joined"]
                .as_array()
                .expect("names")
                .contains(&json!("Ada")),
        );
        if presence["left"]
            .as_array()
            .expect("names")
            .contains(&json!("Ada"))
        {
            assert_eq!(presence["people"], 1);
            break;
        }
        // Both tabs may have come and gone between two announcements.
        if server.get("/api/rooms/lobby").json()["people"] == 1 && came == 0 {
            break;
        }
    }
    assert!(came <= 1);
}

#[test]
fn rooms_are_made_joined_and_left() {
    let home = Home::new();
    let server = home.start(&["--max-joined", "2"]);
    let (mut ada, _) = Client::in_room(&server, "Ada", "lobby");
    let (mut bob, _) = Client::in_room(&server, "Bob", "lobby");
    ada.send(&json!({"type": "create", "room": "attic"}));
    assert_eq!(ada.expect("created")["room"]["name"], "attic");
    loop {
        let rooms = bob.expect("rooms");
        if rooms["rooms"]
            .as_array()
            .expect("rooms")
            .iter()
            .any(|room| room["name"] == "attic")
        {
            break;
        }
    }
    ada.send(&json!({"type": "create", "room": "attic"}));
    assert_eq!(ada.expect_error("room_exists")["room"], "attic");
    ada.join("attic");
    ada.send(&json!({"type": "create", "room": "cellar"}));
    ada.expect("created");
    ada.send(&json!({"type": "join", "room": "cellar"}));
    ada.expect_error("too_many_joined");
    ada.send(&json!({"type": "leave", "room": "attic"}));
    assert_eq!(ada.expect("left")["room"], "attic");
    ada.send(&json!({"type": "leave", "room": "attic"}));
    ada.expect_error("not_joined");

    // What is said in a room that was left is not heard; that it was said can be seen.
    bob.say("attic", "anybody here?", "b1");
    bob.expect("ack");
    bob.say("lobby", "here I am", "b2");
    assert_eq!(ada.expect("message")["room"], "lobby");
}

#[test]
fn mistakes_are_told_to_their_maker_alone() {
    let home = Home::new();
    let server = home.start(&["--max-message-chars", "50"]);
    let (mut witness, _) = Client::in_room(&server, "Witness", "lobby");
    let mut client = Client::connect(server.address);
    client.send(&json!({"type": "join", "room": "lobby"}));
    client.expect_error("hello_first");
    client.send(&json!({"type": "hello", "name": "\u{202e}"}));
    client.expect_error("bad_name");
    client.send(&json!({"type": "hello", "name": "Mallory"}));
    client.expect("welcome");
    client.send(&json!({"type": "hello", "name": "Other"}));
    client.expect_error("already_hello");
    for (junk, code) in [
        ("{", "bad_json"),
        ("", "bad_json"),
        ("hello", "bad_json"),
        ("[]", "bad_request"),
        ("{}", "bad_request"),
        (r#"{"type":"shout"}"#, "bad_request"),
        (r#"{"type":"join"}"#, "bad_request"),
        (r#"{"type":"join","room":7}"#, "bad_request"),
        (r#"{"type":"join","room":"nowhere"}"#, "unknown_room"),
        (r#"{"type":"history","room":"nowhere"}"#, "unknown_room"),
        (
            r#"{"type":"history","room":"lobby","before":1,"after":1}"#,
            "bad_request",
        ),
        (
            r#"{"type":"history","room":"lobby","before":-1}"#,
            "bad_request",
        ),
        (r#"{"type":"create","room":" "}"#, "bad_room_name"),
        (
            r#"{"type":"send","room":"lobby","text":"x"}"#,
            "bad_request",
        ),
    ] {
        client
            .0
            .send(Message::text(junk))
            .expect("the server reads");
        client.expect_error(code);
    }
    let deep = format!(
        r#"{{"x":{}{},"type":"ping"}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    client
        .0
        .send(Message::text(deep))
        .expect("the server reads");
    client.expect_error("bad_json");
    client
        .0
        .send(Message::binary(vec![0xff; 100]))
        .expect("the server reads");
    client.expect_error("binary_frame");
    for (text, nonce, code) in [
        ("x".repeat(51), "n", "text_too_long"),
        (String::new(), "n", "bad_text"),
        ("\u{0}".to_owned(), "n", "bad_text"),
        ("x".to_owned(), "", "bad_nonce"),
    ] {
        client.say("lobby", &text, nonce);
        let error = client.expect_error(code);
        assert_eq!(
            (&error["nonce"], &error["room"]),
            (&json!(nonce), &json!("lobby"))
        );
    }
    client.say("nowhere", "x", "n");
    client.expect_error("unknown_room");
    client.say("lobby", "x", "n");
    client.expect("ack");
    client.say("lobby", "y", "n");
    client.expect_error("nonce_reused");
    // Through all this the witness has seen one message and no error.
    assert_eq!(witness.expect("message")["text"], "x");
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
}

#[test]
fn what_cannot_be_read_on_is_closed_with_a_reason() {
    let home = Home::new();
    let server = home.start(&["--max-message-chars", "10", "--max-frame-bytes", "2000"]);
    let (mut client, _) = Client::hello(&server, "Big");
    client
        .0
        .send(Message::text("x".repeat(2001)))
        .expect("sent");
    let (code, reason, events) = client.closed();
    assert_eq!(
        (code, events[0]["code"].as_str()),
        (1009, Some("frame_too_large")),
        "{reason}"
    );

    use std::io::Write as _;
    let (mut client, _) = Client::hello(&server, "Raw");
    // A masked text frame of one byte that is no UTF-8.
    client
        .0
        .get_mut()
        .write_all(&[0x81, 0x81, 0, 0, 0, 0, 0xff])
        .expect("sent");
    let (code, reason, events) = client.closed();
    assert_eq!(
        (code, events[0]["code"].as_str()),
        (1007, Some("bad_json")),
        "{reason}"
    );

    let (mut client, _) = Client::hello(&server, "Raw");
    // A frame with reserved bits set.
    client
        .0
        .get_mut()
        .write_all(&[0xf1, 0x80, 0, 0, 0, 0])
        .expect("sent");
    let (code, reason, events) = client.closed();
    assert_eq!(
        (code, events[0]["code"].as_str()),
        (1002, Some("bad_request")),
        "{reason}"
    );
}

#[test]
fn coming_back_brings_what_was_missed() {
    let home = Home::new();
    let server = home.start(&["--page-size", "5", "--burst", "100"]);
    let (mut ada, _) = Client::in_room(&server, "Ada", "lobby");
    for count in 1..=3 {
        ada.say("lobby", &format!("{count}"), &format!("n{count}"));
    }
    drop({
        let (bob, joined) = Client::in_room(&server, "Bob", "lobby");
        assert!(joined["messages"].as_array().expect("messages").len() <= 3);
        bob
    });
    for count in 4..=12 {
        ada.say("lobby", &format!("{count}"), &format!("n{count}"));
    }
    while ada.expect("ack")["seq"] != 12 {}

    let seqs = |page: &serde_json::Value| -> Vec<u64> {
        let messages = page["messages"].as_array().expect("messages");
        messages
            .iter()
            .map(|message| message["seq"].as_u64().expect("seq"))
            .collect()
    };
    let (mut bob, _) = Client::hello(&server, "Bob");
    bob.send(&json!({"type": "join", "room": "lobby", "after": 9}));
    let joined = bob.expect("joined");
    assert_eq!(
        (seqs(&joined), &joined["more"]),
        (vec![10, 11, 12], &json!(false))
    );
    bob.send(&json!({"type": "join", "room": "lobby", "after": 3}));
    let joined = bob.expect("joined");
    assert_eq!(
        (seqs(&joined), &joined["more"]),
        (vec![4, 5, 6, 7, 8], &json!(true))
    );
    assert_eq!(joined["last_seq"], 12);
    bob.send(&json!({"type": "history", "room": "lobby", "after": 8}));
    assert_eq!(seqs(&bob.expect("history")), [9, 10, 11, 12]);
    bob.send(&json!({"type": "history", "room": "lobby", "before": 3, "limit": 1}));
    let page = bob.expect("history");
    assert_eq!((seqs(&page), &page["more"]), (vec![2], &json!(true)));
    ada.say("lobby", "live", "live");
    assert_eq!(bob.expect("message")["seq"], 13);
}

/// While one person writes without a pause, others come in: history and live messages together
/// must be every message once, in order.
#[test]
fn joining_in_full_flow_loses_and_doubles_nothing() {
    const TOTAL: u64 = 300;
    let home = Home::new();
    let server = home.start(&[
        "--page-size",
        "10000",
        "--rate",
        "100000",
        "--burst",
        "100000",
    ]);
    let (mut writer, _) = Client::hello(&server, "Writer");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for count in 0..TOTAL {
                writer.say("lobby", "flow", &format!("n{count}"));
                writer.expect("ack");
            }
        });
        for reader in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for _ in 0..5 {
                    let (mut client, joined) =
                        Client::in_room(server, &format!("Reader {reader}"), "lobby");
                    let messages = joined["messages"].as_array().expect("messages");
                    let mut seq = messages
                        .last()
                        .map_or(0, |m| m["seq"].as_u64().expect("seq"));
                    assert_eq!(messages.len() as u64, seq);
                    for _ in 0..10 {
                        if seq == TOTAL {
                            break;
                        }
                        seq += 1;
                        assert_eq!(client.expect("message")["seq"], seq);
                    }
                }
            });
        }
    });
}
