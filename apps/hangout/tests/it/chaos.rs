//! Somebody blocks every worker at once, and nobody notices.

use std::io::{BufRead as _, BufReader};
use std::sync::mpsc;
use std::thread;

use crate::client::Client;
use crate::server::{Home, PATIENCE, Server};

const CLIENTS: usize = 40;
/// Longer than all that is done meanwhile takes on a slow machine.
const BLOCK_MS: u32 = 7_000;

/// What the server's log says from now on, line by line.
fn log_of(server: &mut Server) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let log = BufReader::new(server.log());
    thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}

/// `blocks` requests at once block two workers.
fn chat_while_blocked(kind: &str, blocks: usize) {
    let home = Home::new();
    let mut server = home.start_logged(&["--chaos"]);
    let lines = log_of(&mut server);
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| Client::in_room(&server, &format!("c{number}"), "lobby").0)
        .collect();
    let server = &server;
    thread::scope(|scope| {
        let blocked: Vec<_> = (0..blocks)
            .map(|_| {
                let path = format!("/chaos/block?ms={BLOCK_MS}&kind={kind}");
                scope.spawn(move || server.post(&path, ""))
            })
            .collect();
        // The log names the line, while it is stuck.
        let mut said = Vec::new();
        while !said
            .last()
            .is_some_and(|line: &String| line.contains("src/http/chaos.rs:"))
        {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => said.push(line),
                Err(_) => panic!(
                    "{kind}: no line of chaos.rs in the log:\n{}",
                    said.join("\n")
                ),
            }
        }
        for round in 0..3 {
            for (number, client) in clients.iter_mut().enumerate().step_by(10) {
                client.say("lobby", "hello", &format!("{number}-{round}"));
            }
            for client in &mut clients {
                for _ in 0..CLIENTS / 10 {
                    assert_eq!(client.expect("message")["text"], "hello");
                }
            }
            assert_eq!(server.get("/api/rooms").status, 200);
        }
        let (newcomer, _) = Client::in_room(server, "late", "lobby");
        drop(newcomer);
        assert!(
            blocked.iter().all(|block| !block.is_finished()),
            "{kind}: everything was done while all of them blocked"
        );
        for block in blocked {
            assert_eq!(block.join().expect("an answer").status, 200);
        }
    });
}

#[test]
fn nobody_notices_workers_asleep() {
    chat_while_blocked("sleep", 4);
}

#[test]
fn nobody_notices_workers_that_spin() {
    // Other tests need the cores as well.
    chat_while_blocked("spin", 2);
}
