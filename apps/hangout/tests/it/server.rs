//! Starts and stops servers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing in these tests takes this long on a machine that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    stdout: BufReader<std::process::ChildStdout>,
}

/// A directory of its own for each test, with room for one database.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.path().join("hangout.sqlite")
    }

    pub(crate) fn start(&self, args: &[&str]) -> Server {
        self.start_at("127.0.0.1:0", args)
    }

    pub(crate) fn start_at(&self, listen: &str, args: &[&str]) -> Server {
        self.start_command(hangout().args(["--listen", listen]), args)
    }

    /// Starts a server whose log is for [`Server::log`].
    pub(crate) fn start_logged(&self, args: &[&str]) -> Server {
        let mut command = hangout();
        command.args(["--listen", "127.0.0.1:0"]);
        self.start_command(command.stderr(Stdio::piped()), args)
    }

    /// The same, and a file that may not grow is an error to it and not its end.
    pub(crate) fn start_ignoring_file_limit(&self, args: &[&str]) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]);
        command.arg(env!("CARGO_BIN_EXE_hangout"));
        command.args(["--listen", "127.0.0.1:0"]);
        self.start_command(command.stderr(Stdio::piped()), args)
    }

    fn start_command(&self, command: &mut Command, args: &[&str]) -> Server {
        let mut child = command
            .args(["--workers", "2", "--db"])
            .arg(self.db())
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout
            .read_line(&mut line)
            .expect("the server prints its address");
        let address = line.trim().strip_prefix("hangout is open at http://");
        let address = address.and_then(|rest| rest.strip_suffix('/'));
        let address = address.and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
        Server {
            child,
            address,
            stdout,
        }
    }
}

/// The binary under test.
pub(crate) fn hangout() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hangout"))
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    hangout()
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("hangout runs")
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What a server that was started for it writes to its log.
    pub(crate) fn log(&mut self) -> ChildStderr {
        let log = self.child.stderr.take();
        log.expect("a server started with its log, which is taken once")
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the server is there to be signalled");
    }

    /// Waits for the end; how long that took, and all that was printed after the first line.
    pub(crate) fn wait(mut self) -> (ExitStatus, Duration, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = start.elapsed();
        let mut printed = String::new();
        self.stdout
            .read_to_string(&mut printed)
            .expect("its output can be read");
        (status, took, printed)
    }

    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.request("POST", path, &["content-type: application/json"], body)
    }

    /// One request on a connection of its own.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let answer = self.try_request(method, path, headers, body);
        answer.expect("the server accepts and answers")
    }

    /// The same for a server that may be gone.
    pub(crate) fn try_get(&self, path: &str) -> Option<Answer> {
        self.try_request("GET", path, &[], "")
    }

    fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> Option<Answer> {
        let upgrades = headers.iter().any(|header| header.starts_with("upgrade:"));
        let connection = if upgrades { "close, upgrade" } else { "close" };
        let host = if headers.iter().any(|header| header.starts_with("host:")) {
            String::new()
        } else {
            format!("host: {}\r\n", self.address)
        };
        let headers: String = headers
            .iter()
            .map(|header| format!("{header}\r\n"))
            .collect();
        let length = body.len();
        self.exchange(&format!(
            "{method} {path} HTTP/1.1\r\n{host}connection: {connection}\r\n{headers}content-length: {length}\r\n\r\n{body}",
        ))
    }

    /// Sends bytes and reads to the end of the connection; nothing if there is no answer.
    pub(crate) fn exchange(&self, request: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // A server that refuses early may have closed before it read all; its answer counts.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("the answer is text");
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Some(Answer {
            status: status.unwrap_or_else(|| panic!("no status in {head:?}")),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came back for a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Checks for a refusal of the API's usual shape.
    pub(crate) fn refused(&self, status: u16, code: &str) {
        let error = &self.json()["error"];
        assert_eq!(
            (self.status, error["code"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        assert!(
            !error["message"]
                .as_str()
                .expect("a message for people")
                .is_empty()
        );
    }
}

/// Waits for a state that comes by itself.
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it does not come to be");
        std::thread::sleep(Duration::from_millis(1));
    }
}
