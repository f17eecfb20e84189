//! One peer, one case, once: the processes of a trial.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use super::{
    Settings,
    cases::{Case, Kind},
};
use crate::{
    peers::{self, Peer},
    report::Figures,
};

/// How long a part may take beyond the time that it measures.
const PATIENCE: Duration = Duration::from_secs(45);
/// Idle connections that are opened first, so that pools and tables exist.
const FIRST: usize = 200;

/// Measures `peer` in `case` once.
///
/// # Errors
/// Why it could not be measured, in words for the document.
pub(crate) fn run(peer: &Peer, case: &Case, settings: &Settings) -> Result<Figures, String> {
    let secs = settings.secs;
    match case.kind {
        Kind::Task(name) => {
            let mut args = words(["run", "--peer", peer.name, "--workload", name]);
            args.extend(words(["--secs", &secs.to_string()]));
            if settings.quick {
                args.push("--quick".into());
            }
            Part::start(&args)?.figures(secs)
        }
        Kind::Idle => idle(peer, case),
        Kind::Echo => served(peer, "echo", case, secs, &[]),
        Kind::Http => served(peer, "http", case, secs, &["--http"]),
        Kind::HttpClose => served(peer, "http", case, secs, &["--http", "--close"]),
        Kind::Stall { how, times } => {
            let times = times.to_string();
            served(
                peer,
                "stall",
                case,
                secs,
                &["--block", how, "--times", &times],
            )
        }
    }
}

/// Requests per second of the epoll floor in a closed loop of the same shape.
pub(crate) fn capacity(case: &Case, settings: &Settings) -> Result<f64, String> {
    let closed = Case {
        rate: None,
        rate_share: None,
        ..*case
    };
    let floor = peers::find("floor-epoll")?;
    Ok(served(floor, "echo", &closed, settings.secs.min(1.0), &[])?.get("requests_per_s"))
}

fn served(
    peer: &Peer,
    workload: &str,
    case: &Case,
    secs: f64,
    more: &[&str],
) -> Result<Figures, String> {
    let mut server = serve(peer, workload, case.bytes, &[])?;
    let address = server.line("ready")?;
    let mut args = words([
        "load",
        "--addr",
        &address,
        "--pid",
        &server.child.id().to_string(),
    ]);
    args.extend(words([
        "--secs",
        &secs.to_string(),
        "--bytes",
        &case.bytes.to_string(),
    ]));
    args.extend(words(["--conns", &case.connections.to_string()]));
    args.extend(words(more.iter().copied()));
    if let Some(rate) = case.rate {
        // Between two requests on a schedule there is no time to fall asleep.
        args.extend(words(["--rate", &rate.to_string(), "--spin"]));
    }
    let outcome = Part::start(&args)?.figures(secs);
    // When the load failed, the server often knows better why.
    outcome.map_err(|reason| match server.complaint() {
        Some(complaint) => format!("{reason}; the server: {complaint}"),
        None => reason,
    })
}

fn idle(peer: &Peer, case: &Case) -> Result<Figures, String> {
    let mut server = serve(peer, "echo", case.bytes, &["--memory"])?;
    let address = server.line("ready")?;
    let hold = |count: usize| -> Result<Part, String> {
        let mut part = Part::start(&words([
            "hold",
            "--addr",
            &address,
            "--conns",
            &count.to_string(),
        ]))?;
        part.line("holding")?;
        Ok(part)
    };
    let _first = hold(FIRST)?;
    let (heap_before, resident_before) = server.memory()?;
    let _all = hold(case.connections)?;
    let (heap, resident) = server.memory()?;
    let count = case.connections as f64;
    let own = if peer.can.contains(&"share-buffer") {
        0.0
    } else {
        case.bytes as f64
    };
    let mut figures = Figures::default();
    figures.set("heap_bytes", (heap - heap_before) / count - own);
    figures.set("resident_bytes", (resident - resident_before) / count - own);
    Ok(figures)
}

fn serve(peer: &Peer, workload: &str, bytes: usize, more: &[&str]) -> Result<Part, String> {
    let mut args = words(["serve", "--peer", peer.name, "--workload", workload]);
    args.extend(words(["--bytes", &bytes.to_string()]));
    args.extend(words(more.iter().copied()));
    Part::start(&args)
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// A process of a trial. Closing its standard input asks it to end; dropping
/// this makes sure that it has.
struct Part {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Arc<Mutex<String>>,
}

impl Part {
    fn start(args: &[String]) -> Result<Self, String> {
        let program = env::current_exe().map_err(|error| format!("finding myself: {error}"))?;
        let mut child = Command::new(program)
            .args(args)
            // A panic is reported in one line; its backtrace would bury it.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("starting {:?}: {error}", args.first()))?;
        let (sender, lines) = channel();
        let complaints = Arc::new(Mutex::new(String::new()));
        if let Some(out) = child.stdout.take() {
            // Ends with the child's output, or when nobody reads the lines.
            thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        if let Some(mut errors) = child.stderr.take() {
            let complaints = Arc::clone(&complaints);
            thread::spawn(move || {
                let mut buf = [0; 4096];
                while let Ok(len @ 1..) = errors.read(&mut buf) {
                    let mut text = complaints.lock().unwrap_or_else(PoisonError::into_inner);
                    if text.len() < 1 << 16 {
                        text.push_str(&String::from_utf8_lossy(&buf[..len]));
                    }
                }
            });
        }
        let input = child.stdin.take();
        Ok(Self {
            child,
            input,
            lines,
            complaints,
        })
    }

    /// Waits for a line that begins with `word` and gives the rest of it.
    fn line(&mut self, word: &str) -> Result<String, String> {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if let Some(rest) = line.strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
            if let Some(reason) = line.strip_prefix("error ") {
                return Err(reason.to_owned());
            }
        }
        let silence = || format!("it did not say {word:?}");
        Err(self.complaint().unwrap_or_else(silence))
    }

    /// Waits for the end of the process and reads its figures.
    fn figures(mut self, secs: f64) -> Result<Figures, String> {
        let mut text = String::new();
        let patience = PATIENCE + Duration::from_secs_f64(secs);
        loop {
            match self.lines.recv_timeout(patience) {
                Ok(line) => {
                    if let Some(reason) = line.strip_prefix("error ") {
                        return Err(reason.to_owned());
                    }
                    text.push_str(&line);
                    text.push('\n');
                }
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    return Err(format!("no end after {patience:?}"));
                }
            }
        }
        let status = self
            .child
            .wait()
            .map_err(|error| format!("waiting: {error}"))?;
        if !status.success() {
            return Err(self
                .complaint()
                .unwrap_or_else(|| format!("it ended with {status}")));
        }
        Ok(Figures::parse(&text))
    }

    /// Allocated and resident bytes of a server.
    fn memory(&mut self) -> Result<(f64, f64), String> {
        let input = self.input.as_mut().ok_or("the server's input is closed")?;
        input
            .write_all(b"memory\n")
            .map_err(|error| format!("asking for memory: {error}"))?;
        let line = self.line("memory")?;
        let mut numbers = line.split(' ').map(|word| word.parse::<f64>());
        match (numbers.next(), numbers.next()) {
            (Some(Ok(heap)), Some(Ok(resident))) => Ok((heap, resident)),
            _ => Err(format!("memory figures that cannot be read: {line:?}")),
        }
    }

    /// The panic message or last line that the process wrote to its errors.
    fn complaint(&mut self) -> Option<String> {
        // Let the process finish its sentence: it is asked to end first.
        self.end();
        let text = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let after_panic = text
            .lines()
            .skip_while(|line| !line.contains("panicked at"))
            .nth(1);
        let found = after_panic.or_else(|| lines.next_back())?;
        Some(found.trim().to_owned())
    }

    fn end(&mut self) {
        self.input = None;
        // A server that is blocked on purpose cannot be waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.end();
    }
}
