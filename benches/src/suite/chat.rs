//! A chat server, blocked while people chat: whole programs, with a database each.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    Settings,
    cases::Case,
    part::Part,
    trial::{Outcome, blamed},
};
use crate::peers::Peer;

/// The file in which hangout blocks its thread, as a report names it.
const CULPRIT: &str = "chaos.rs";
/// A report is written when the stall is over at the latest, on a thread of its own.
const REPORTED_WITHIN: Duration = Duration::from_secs(1);
/// So much of a log is quoted.
const QUOTED_LINES: usize = 12;

/// Measures `peer` once; `load` is what the load generator is told about the blocking.
///
/// # Errors
/// Why it could not be measured.
pub(crate) fn run(
    peer: &Peer,
    case: &Case,
    settings: &Settings,
    load: &str,
) -> Result<Outcome, String> {
    let program = peer.program.ok_or("only programs chat")?;
    let path = settings.program(program)?;
    let home = Home::new()?;
    let db = home.0.join("chat.sqlite");
    let db = db
        .to_str()
        .ok_or("a temporary directory with a strange name")?;
    let common = [
        "--listen",
        "127.0.0.1:0",
        "--workers",
        "2",
        "--chaos",
        "--db",
        db,
    ];
    let common = common.iter().chain(&["--durability", "normal"]);
    let args = common.chain(program.args).copied();
    let mut server = Part::program(case.place(), &path, args)?;
    let address = server.line("hangout is open at http://")?;
    let address = address.trim_end_matches('/');
    let load = format!(
        "chat --addr {address} --rate {} --{} {load}",
        case.rate.unwrap_or_default(),
        if case.every_core { "realtime" } else { "spin" },
    );
    let outcome = Part::start(&load)?.figures(settings.secs);
    let mut figures = outcome.map_err(|reason| blamed(reason, &mut server))?;
    let log = log(&server);
    let named = log.lines().filter(|line| line.contains(CULPRIT)).count();
    figures.set("named", named as f64);
    let log = quoted(&log);
    Ok(Outcome {
        figures,
        log: (!log.is_empty()).then_some(log),
    })
}

/// What the server wrote to its errors, once it has named the culprit or has had time to.
fn log(server: &Part) -> String {
    let until = Instant::now() + REPORTED_WITHIN;
    loop {
        let log = server.log();
        if log.contains(CULPRIT) || Instant::now() > until {
            return log;
        }
        // It is another process: there is nothing to wait for but its next line.
        thread::sleep(Duration::from_millis(20));
    }
}

/// The beginning of a log, with where this machine keeps its sources cut off.
fn quoted(log: &str) -> String {
    let lines = log
        .lines()
        .take(QUOTED_LINES)
        .map(|line| match line.find("/apps/hangout/") {
            Some(at) => {
                let begin = line[..at].rfind(|c: char| c.is_whitespace() || c == '(');
                let begin = begin.map_or(0, |begin| begin + 1);
                format!("{}{}", &line[..begin], &line[at + 1..])
            }
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// A directory for a database, removed when dropped.
struct Home(PathBuf);

impl Home {
    fn new() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: the number only has to be a different one each time.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("tapio-bench-{}-{count}", process::id()));
        fs::create_dir(&path).map_err(|error| format!("making {}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed lies in the temporary directory, which is emptied one day.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_quoted_log_names_files_of_the_repository() {
        let log = "stalled\n  0: block (/home/ada/tapio/apps/hangout/src/http/chaos.rs:46)\n  at x";
        let expected = "stalled\n  0: block (apps/hangout/src/http/chaos.rs:46)\n  at x";
        assert_eq!(quoted(log), expected);
        assert_eq!(quoted(&"line\n".repeat(100)).lines().count(), 12);
    }
}
