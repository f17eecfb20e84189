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
    let known = ["tapio", "tokio", "smol", "floor-epoll", "floor-executor"];
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

/// Whether this build has all of `peers`.
fn has(peers: &[&str]) -> bool {
    let list = text(&bench("list"));
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    peers.iter().all(|peer| names.contains(peer))
}

/// The cells of the one row of `peer` in a table.
fn row<'a>(text: &'a str, peer: &str) -> Vec<&'a str> {
    let head = format!("| {peer} |");
    let mut rows = text.lines().filter(|line| line.starts_with(&head));
    let row = rows
        .next()
        .unwrap_or_else(|| panic!("no row of {peer} in\n{text}"));
    assert_eq!(rows.next(), None, "{text}");
    row.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn blocks_a_worker_and_says_who_is_missing() {
    if !has(&["tapio-mt2"]) {
        return;
    }
    let case = "suite stall --quick --peers tapio-mt2,go --case";
    let output = Command::new(env!("CARGO_BIN_EXE_tapio-bench"))
        .args(case.split(' '))
        .arg("one task sleeps")
        .output()
        .expect("the binary that cargo has just built starts");
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let cells = row(&text, "tapio-mt2");
    let blocked: f64 = cells[5].parse().expect("for how long it was blocked");
    assert!(blocked >= 300.0, "{text}");
    assert!(cells[2].ends_with(" of 1"), "{text}");
    assert!(text.contains("- go is missing: it was not built"), "{text}");
    assert!(!text.contains("### one task spins"), "{text}");
}

#[test]
fn a_guard_is_compared_with_none() {
    if !has(&["tapio", "tapio-unguarded"]) {
        return;
    }
    let peers = "tapio,tapio-unguarded,floor-executor";
    let output = bench(&format!(
        "suite guard --quick --secs 0.05 --rounds 2 --case yield --peers {peers}"
    ));
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    // The costs, then the ratio; nobody takes part who has no guard to compare.
    let rows = text.lines().filter(|line| line.starts_with("| tapio |"));
    assert_eq!(rows.count(), 2, "{text}");
    assert!(text.contains(" of 2 |"), "{text}");
    assert!(!text.contains("floor-executor |"), "{text}");
}

#[test]
#[cfg(feature = "chat")]
fn people_chat_while_every_worker_is_blocked() {
    let output = Command::new(env!("CARGO_BIN_EXE_tapio-bench"))
        .args("suite chat --quick --peers hangout-tokio".split(' '))
        .args(["--case", "two requests sleep"])
        .arg("--programs")
        .arg(concat!(
            "hangout-tokio=",
            env!("CARGO_BIN_EXE_hangout-tokio")
        ))
        .output()
        .expect("the binary that cargo has just built starts");
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let cells = row(&text, "hangout-tokio");
    // tokio's workers are asleep and it has no others: people wait for most of the time.
    let worst: f64 = cells[3].parse().expect("the worst message");
    assert!(worst > 100.0, "{text}");
    let (missing, lost) = (cells[9], cells[10]);
    assert_eq!((missing, lost), ("0.00", "0.00"), "{text}");
}

#[test]
fn becomes_another_program_on_a_core_of_its_own() {
    let output = bench("exec 0 cat /proc/self/status");
    let text = text(&output);
    let line = text
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list:"));
    let cores = line
        .expect("Linux lists the cores")
        .split_whitespace()
        .nth(1);
    assert!(
        cores.is_some_and(|cores| cores.parse::<u32>().is_ok()),
        "{text}"
    );
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
        ("chat --addr 127.0.0.1:1", "entering the chat"),
        ("suite echo --programs go", "--programs"),
        ("exec nowhere cat", "\"nowhere\""),
        ("exec all /nowhere", "/nowhere"),
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
