//! One peer, one case, once.

use std::{fs, thread, time::Duration};

use super::{
    Settings,
    cases::{Case, Kind},
    chat,
    part::Part,
};
use crate::{
    peers::{self, Peer},
    report::Figures,
};

/// Idle connections that are opened first, so that pools and tables exist.
const FIRST: usize = 200;
/// Load before the measured window, unless that is shorter.
const WARMUP_SECS: f64 = 0.5;
/// How long idle servers are watched for wake-ups.
const WATCH: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_millis(200);
/// Rooms of a chat.
const ROOMS: usize = 20;

/// What one trial gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) figures: Figures,
    /// What the server logged about it, where that is of interest.
    pub(crate) log: Option<String>,
}

/// Measures `peer` in `case` once.
///
/// # Errors
/// Why it could not be measured, in words for the document.
pub(crate) fn run(peer: &Peer, case: &Case, settings: &Settings) -> Result<Outcome, String> {
    let secs = settings.secs;
    let figures = match case.kind {
        Kind::Task(task) => {
            let quick = if settings.quick { "--quick" } else { "" };
            let line = format!(
                "run --peer {} --workload {task} --secs {secs} {quick}",
                peer.name
            );
            Part::start(&line)?.figures(secs)
        }
        Kind::Idle => {
            let serve = format!(
                "serve --peer {} --workload echo --bytes {} --memory",
                peer.name, case.bytes
            );
            let mut server = Part::start(&serve)?;
            let outcome = idle(&mut server, peer, case);
            outcome.map_err(|reason| blamed(reason, &mut server))
        }
        Kind::Echo => served(peer, "echo", case, settings, ""),
        Kind::Http => served(peer, "http", case, settings, "--http"),
        Kind::HttpClose => served(peer, "http", case, settings, "--http --close"),
        Kind::Stall { how, times } => {
            let block = format!(
                "--block {how} --times {times} --block-ms {}",
                settings.block_ms()
            );
            served(peer, "stall", case, settings, &block)
        }
        Kind::Chat { how, times } => {
            let mut load = format!(
                "--block {how} --times {times} --block-ms {}",
                settings.block_ms()
            );
            if settings.quick {
                load.push_str(" --conns 40 --rooms 2");
            } else {
                load.push_str(&format!(" --conns {} --rooms {ROOMS}", case.connections));
            }
            return chat::run(peer, case, settings, &load);
        }
    };
    Ok(Outcome {
        figures: figures?,
        log: None,
    })
}

/// Requests per second of the epoll floor in a closed loop of the same shape.
pub(crate) fn capacity(case: &Case, settings: &Settings) -> Result<f64, String> {
    let closed = Case {
        rate: None,
        rate_share: None,
        ..*case
    };
    let floor = peers::find("floor-epoll")?;
    let settings = Settings {
        secs: settings.secs.min(1.0),
        ..settings.clone()
    };
    Ok(served(floor, "echo", &closed, &settings, "")?.get("requests_per_s"))
}

fn served(
    peer: &Peer,
    workload: &str,
    case: &Case,
    settings: &Settings,
    more: &str,
) -> Result<Figures, String> {
    let secs = settings.secs;
    let Case {
        bytes, connections, ..
    } = case;
    let mut serve = format!(
        "serve --peer {} --workload {workload} --bytes {bytes}",
        peer.name
    );
    let mut server = match peer.program {
        Some(program) => {
            let path = settings.program(program)?;
            Part::program(case.place(), &path, serve.split(' '))?
        }
        None => {
            serve.push_str(&format!(" --core {}", case.place()));
            Part::start(&serve)?
        }
    };
    let address = server.line("ready")?;
    let mut load = format!(
        "load --addr {address} --pid {} --secs {secs} --warmup {} --bytes {bytes} --conns {connections} {more}",
        server.pid(),
        secs.min(WARMUP_SECS),
    );
    if let Some(rate) = case.rate {
        load.push_str(&format!(" --rate {rate}"));
        // Between two requests on a schedule there is no time to fall asleep, but on a core
        // that is the server's as well.
        load.push_str(if case.every_core {
            " --realtime"
        } else {
            " --spin"
        });
    }
    let outcome = Part::start(&load)?.figures(secs);
    outcome.map_err(|reason| blamed(reason, &mut server))
}

/// When the load failed, the server often knows better why.
pub(crate) fn blamed(reason: String, server: &mut Part) -> String {
    match server.complaint() {
        Some(complaint) if complaint != reason => format!("{reason}; the server: {complaint}"),
        _ => reason,
    }
}

fn idle(server: &mut Part, peer: &Peer, case: &Case) -> Result<Figures, String> {
    let address = server.line("ready")?;
    let hold = |count: usize| -> Result<Part, String> {
        let mut part = Part::start(&format!("hold --addr {address} --conns {count}"))?;
        part.line("holding")?;
        Ok(part)
    };
    let _first = hold(FIRST)?;
    let (heap_before, resident_before) = server.memory()?;
    let _all = hold(case.connections)?;
    let (heap, resident) = server.memory()?;
    // What was asked last has to be answered and gone to sleep again.
    thread::sleep(SETTLE);
    let switches_before = switches(server.pid())?;
    thread::sleep(WATCH);
    let wakeups = switches(server.pid())? - switches_before;

    let count = case.connections as f64;
    let own = if peer.can.contains(&"share-buffer") {
        0.0
    } else {
        case.bytes as f64
    };
    let mut figures = Figures::default();
    figures.set("heap_bytes", (heap - heap_before) / count - own);
    figures.set("resident_bytes", (resident - resident_before) / count - own);
    figures.set("wakeups_per_s", wakeups as f64 / WATCH.as_secs_f64());
    Ok(figures)
}

/// How often the threads of process `pid` have gone to sleep of their own accord,
/// which is how often they woke.
fn switches(pid: u32) -> Result<u64, String> {
    let failed = |error| format!("reading the threads of {pid}: {error}");
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).map_err(failed)? {
        let status = fs::read_to_string(thread.map_err(failed)?.path().join("status"));
        // A thread that has ended since it was listed has no status any more.
        let status = status.unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += line
            .and_then(|count| count.trim().parse::<u64>().ok())
            .unwrap_or_default();
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use std::{process, sync::mpsc::channel, thread};

    use super::switches;

    #[test]
    fn a_sleep_is_a_switch() {
        let before = switches(process::id()).unwrap();
        let (ping, pinged) = channel::<()>();
        let (pong, ponged) = channel::<()>();
        let far = thread::spawn(move || {
            while pinged.recv().is_ok() {
                pong.send(()).unwrap();
            }
        });
        for _ in 0..100 {
            ping.send(()).unwrap();
            ponged.recv().unwrap();
        }
        assert!(switches(process::id()).unwrap() > before);
        drop(ping);
        far.join().unwrap();
    }
}
