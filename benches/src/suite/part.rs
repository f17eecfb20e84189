//! The processes of a trial, and what they say.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use crate::report::Figures;

/// How long a part may take beyond the time that it measures.
const PATIENCE: Duration = Duration::from_secs(45);
/// This program, even if its file has been replaced by a new build meanwhile.
const MYSELF: &str = "/proc/self/exe";

/// A process of a trial. Closing its standard input asks it to end; dropping
/// this makes sure that it has.
pub(crate) struct Part {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Arc<Mutex<String>>,
}

impl Part {
    /// Starts this same program with `line` as its arguments.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(line: &str) -> Result<Self, String> {
        Self::with(line.split_whitespace())
    }

    /// Starts another program, at `place` as this one would be.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn program<'a>(
        place: &'a str,
        path: &'a str,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        Self::with(["exec", place, path].into_iter().chain(args))
    }

    fn with<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let args: Vec<&str> = args.into_iter().collect();
        let mut child = Command::new(MYSELF)
            .args(&args)
            // A panic is reported in one line; its backtrace would bury it.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("starting {args:?}: {error}"))?;
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
    pub(crate) fn line(&mut self, word: &str) -> Result<String, String> {
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
    pub(crate) fn figures(mut self, secs: f64) -> Result<Figures, String> {
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
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
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
    pub(crate) fn memory(&mut self) -> Result<(f64, f64), String> {
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

    /// Why the process failed, in its own words: its `error` line, else the message
    /// of a panic, else the last line that it wrote to its errors.
    pub(crate) fn complaint(&mut self) -> Option<String> {
        // What it still had to say has been written once it has ended.
        self.end();
        let said = self
            .lines
            .iter()
            .find_map(|line| Some(line.strip_prefix("error ")?.to_owned()));
        let text = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let after_panic = text
            .lines()
            .skip_while(|line| !line.contains("panicked at"))
            .nth(1);
        let last = || text.lines().rfind(|line| !line.trim().is_empty());
        said.or_else(|| Some(after_panic.or_else(last)?.trim().to_owned()))
    }

    /// What it has written to its errors so far.
    pub(crate) fn log(&self) -> String {
        let text = self.complaints.lock();
        text.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
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
