//! The suite as a whole: processes, pipes, load, tables. It looks at whether the
//! figures are there, never at how large they are.

use std::process::{Command, Output};

fn bench(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tapio-bench"))
        .args(line.split_whitespace())
        .output()
        .expect("the binary that cargo has just built starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The peers of this build that need no io_uring.
fn modest_peers() -> Vec<String> {
    let known = [
        "tapio-poll",
        "tokio",
        "smol",
        "floor-epoll",
        "floor-executor",
    ];
    let list = text(&bench("list"));
    let names = list.lines().filter_map(|line| line.split(' ').next());
    names
        .filter(|name| known.contains(name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn serves_loads_and_writes_tables() {
    let peers = modest_peers();
    let output = bench(&format!(
        "suite http spawn --quick --secs 0.05 --peers {}",
        peers.join(",")
    ));
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for peer in &peers {
        // The executor has no sockets and the epoll floor no tasks.
        let tables = match peer.as_str() {
            "floor-epoll" => 3,
            "floor-executor" => 2,
            _ => 5,
        };
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with(&format!("| {peer} |")))
            .collect();
        assert_eq!(rows.len(), tables, "{peer} in\n{text}");
        // The user share may be unknown in so short a time; the CPU time is not.
        assert!(
            rows.iter()
                .all(|row| !row.starts_with(&format!("| {peer} | –"))),
            "{rows:?}"
        );
    }
    assert!(!text.contains("is missing"), "{text}");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    // The port of a server that is already there cannot be taken by another one.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = bench(&format!(
        "serve --peer floor-epoll --workload echo --port {port}"
    ));
    assert!(!output.status.success());
    assert!(text(&output).contains("error binding"), "{}", text(&output));
}

#[test]
fn what_it_does_not_know_it_refuses() {
    for (line, complaint) in [
        ("suite nonsense", "\"nonsense\""),
        ("suite echo --peers nobody", "\"nobody\""),
        ("suite echo --round 3", "--round"),
        ("run --peer floor-epoll --workload spawn", "runs no tasks"),
        ("load --addr 127.0.0.1:1 --secs 0.1", "connecting"),
    ] {
        let output = bench(line);
        assert!(!output.status.success(), "{line}");
        assert!(
            text(&output).contains(complaint),
            "{line}: {}",
            text(&output)
        );
    }
}
