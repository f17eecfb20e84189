//! The command line, and starts that fail.

use std::fs;
use std::net::TcpListener;

use crate::server::{Home, run};

/// One line of complaint on standard error (after the log, if there is any), nothing on standard output, and this exit code.
fn fails(args: &[&str], code: i32, says: &[&str]) {
    let output = run(args);
    let printed = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {printed}");
    let complaints = printed.lines().filter(|line| !line.contains(" WARN "));
    let [line] = complaints.collect::<Vec<_>>()[..] else {
        panic!("{args:?}: {printed}")
    };
    assert!(line.starts_with("hangout: "), "{line}");
    for word in says {
        assert!(line.contains(word), "{args:?}: no '{word}' in {line}");
    }
    assert!(output.stdout.is_empty(), "{args:?}");
}

#[test]
fn help_and_version() {
    let help = run(&["--help"]);
    let text = String::from_utf8(help.stdout).expect("text");
    assert_eq!(help.status.code(), Some(0));
    for word in [
        "--listen",
        "--db",
        "--workers",
        "--driver ring|poll",
        "--chaos",
        "[127.0.0.1:7800]",
    ] {
        assert!(text.contains(word), "no '{word}' in {text}");
    }
    let version = run(&["-V"]);
    assert!(
        String::from_utf8(version.stdout)
            .expect("text")
            .starts_with("hangout ")
    );
}

#[test]
fn wrong_arguments() {
    fails(&["--prot", "80"], 2, &["'--prot'", "--help"]);
    fails(
        &["--driver", "epoll"],
        2,
        &["--driver 'epoll'", "ring, poll"],
    );
    fails(
        &["--workers", "many"],
        2,
        &["--workers 'many'", "1 to 1024"],
    );
    fails(&["--listen", "here"], 2, &["--listen 'here'", "HOST:PORT"]);
    fails(&["--db"], 2, &["--db"]);
}

#[test]
fn a_port_in_use() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let db = home.db();
    fails(
        &["--listen", &address, "--db", db.to_str().expect("text")],
        1,
        &[&address, "in use"],
    );
    assert!(!db.exists(), "a start that failed left a database");
}

#[test]
fn a_host_that_does_not_exist() {
    fails(
        &["--listen", "no-such-host.invalid:0"],
        1,
        &["no-such-host.invalid"],
    );
}

#[test]
fn databases_that_cannot_be_used() {
    let home = Home::new();
    let path = |name: &str| home.path().join(name).to_str().expect("text").to_owned();
    let with = |db: &str, says: &[&str]| fails(&["--listen", "127.0.0.1:0", "--db", db], 1, says);

    let missing = path("no/such/dir/db");
    with(&missing, &[&missing, "does not exist"]);
    with(&path(""), &["directory"]);
    // Not even root can make files here, so this holds whoever runs the test.
    with("/proc/hangout.sqlite", &["/proc/hangout.sqlite"]);

    let text = path("text");
    fs::write(&text, "Dear diary, ".repeat(100)).expect("written");
    with(&text, &[&text, "not an SQLite database"]);

    let used = home.start(&[]);
    let db = home.db();
    with(db.to_str().expect("text"), &["another hangout"]);
    drop(used);

    let mut bytes = fs::read(&db).expect("the database");
    bytes.truncate(5000);
    bytes[100..].fill(0xa5);
    let torn = path("torn.sqlite");
    fs::write(&torn, bytes).expect("written");
    with(&torn, &[&torn]);
}
