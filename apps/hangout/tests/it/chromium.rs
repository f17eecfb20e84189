//! A headless Chromium, spoken to in its own DevTools protocol: a few JSON commands over the
//! WebSocket client that these tests have anyway.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Error, Message, WebSocket};

use crate::server::PATIENCE;

const PROGRAM: &str = "/usr/bin/chromium";

/// A browser with a profile of its own; killed when dropped.
pub(crate) struct Chromium {
    child: Child,
    socket: WebSocket<TcpStream>,
    next_id: u64,
    /// Problems that pages reported by themselves; see [`Chromium::check_console`].
    complaints: Vec<String>,
    _profile: TempDir,
}

/// One tab.
#[derive(Debug, Clone)]
pub(crate) struct Tab {
    session: String,
}

/// The browser, or none if there is none; then the reason is said, on one line.
///
/// With `TAPIO_REQUIRE_BROWSER=1` a missing browser is a failure.
pub(crate) fn start() -> Option<Chromium> {
    if Path::new(PROGRAM).exists() {
        return Some(Chromium::start());
    }
    assert!(
        std::env::var("TAPIO_REQUIRE_BROWSER").as_deref() != Ok("1"),
        "{PROGRAM} is missing and TAPIO_REQUIRE_BROWSER=1"
    );
    // Written past the test harness, which would keep what a passing test prints to itself.
    let line = format!("skipped: {PROGRAM} is not installed (Debian: apt-get install chromium)\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    None
}

impl Chromium {
    fn start() -> Self {
        let profile = tempfile::tempdir().expect("a profile");
        let mut child = Command::new(PROGRAM)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-background-timer-throttling",
                "--disable-renderer-backgrounding",
                "--hide-scrollbars",
                "--lang=en-GB",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Chromium starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let url = loop {
            let mut line = String::new();
            let read = stderr.read_line(&mut line).expect("Chromium speaks");
            assert!(read > 0, "Chromium ended before it listened");
            if let Some(url) = line.trim().strip_prefix("DevTools listening on ") {
                break url.to_owned();
            }
        };
        // It goes on complaining to a pipe that somebody must empty.
        std::thread::spawn(move || stderr.lines().for_each(drop));
        let address = url
            .strip_prefix("ws://")
            .and_then(|rest| rest.split('/').next());
        let stream = TcpStream::connect(address.expect("an address")).expect("DevTools accept");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (socket, _) = tungstenite::client(url, stream).expect("DevTools speak WebSocket");
        Self {
            child,
            socket,
            next_id: 0,
            complaints: Vec::new(),
            _profile: profile,
        }
    }

    /// Opens a tab of the given size.
    pub(crate) fn open(&mut self, url: &str, width: u32, height: u32, dark: bool) -> Tab {
        let target = self.call(None, "Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", &attach);
        let tab = Tab {
            session: attached["sessionId"]
                .as_str()
                .expect("a session")
                .to_owned(),
        };
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            self.call(Some(&tab), domain, &json!({}));
        }
        let phone = width < 600;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone,
        });
        self.call(Some(&tab), "Emulation.setDeviceMetricsOverride", &metrics);
        let touch = json!({"enabled": phone});
        self.call(Some(&tab), "Emulation.setTouchEmulationEnabled", &touch);
        // Every tab counts as the one that is looked at.
        self.call(
            Some(&tab),
            "Emulation.setFocusEmulationEnabled",
            &json!({"enabled": true}),
        );
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call(Some(&tab), "Emulation.setEmulatedMedia", &media);
        self.call(Some(&tab), "Page.navigate", &json!({"url": url}));
        self.wait(
            &tab,
            "document.readyState === 'complete' && location.href !== 'about:blank'",
        );
        tab
    }

    /// Runs a script in a tab and gives its value.
    pub(crate) fn eval(&mut self, tab: &Tab, script: &str) -> Value {
        let params = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let result = self.call(Some(tab), "Runtime.evaluate", &params);
        assert!(
            result.get("exceptionDetails").is_none(),
            "{script}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// Waits until a script's value is true.
    pub(crate) fn wait(&mut self, tab: &Tab, script: &str) {
        let start = Instant::now();
        while self.eval(tab, script) != json!(true) {
            if start.elapsed() > PATIENCE {
                let shown = self.eval(tab, "document.body.innerText");
                panic!("this does not come true: {script}\nthe page shows: {shown}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types into whatever has the focus, as a keyboard would.
    pub(crate) fn type_text(&mut self, tab: &Tab, text: &str) {
        self.call(Some(tab), "Input.insertText", &json!({"text": text}));
    }

    pub(crate) fn press(&mut self, tab: &Tab, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
            });
            self.call(Some(tab), "Input.dispatchKeyEvent", &event);
        }
    }

    /// Keeps a picture of a tab, if `HANGOUT_SCREENSHOTS` names a directory for them.
    pub(crate) fn screenshot(&mut self, tab: &Tab, name: &str) {
        let Ok(dir) = std::env::var("HANGOUT_SCREENSHOTS") else {
            return;
        };
        // Let what slides and fades come to rest.
        std::thread::sleep(Duration::from_millis(400));
        let shot = self.call(
            Some(tab),
            "Page.captureScreenshot",
            &json!({"format": "png"}),
        );
        let bytes = from_base64(shot["data"].as_str().expect("a picture"));
        std::fs::create_dir_all(&dir).expect("the directory for pictures");
        std::fs::write(Path::new(&dir).join(format!("{name}.png")), bytes).expect("written");
    }

    /// No page has thrown, logged an error or been denied something by its own policy. That a
    /// server could not be reached is expected where one is restarted.
    pub(crate) fn check_console(&self) {
        let unexpected: Vec<_> = self
            .complaints
            .iter()
            .filter(|line| !line.contains("ERR_CONNECTION_REFUSED") && !line.contains("WebSocket"))
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
    }

    fn call(&mut self, tab: Option<&Tab>, method: &str, params: &Value) -> Value {
        self.next_id += 1;
        let mut command = json!({"id": self.next_id, "method": method, "params": params});
        if let Some(tab) = tab {
            command["sessionId"] = json!(tab.session);
        }
        self.socket
            .send(Message::text(command.to_string()))
            .expect("DevTools read");
        loop {
            let text = match self.socket.read() {
                Ok(Message::Text(text)) => text,
                Ok(_) => continue,
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("DevTools do not answer: {error}"),
            };
            let mut answer: Value = serde_json::from_str(&text).expect("JSON");
            match answer["method"].as_str() {
                Some("Runtime.exceptionThrown") => {
                    self.complaints.push(answer["params"].to_string());
                }
                Some("Log.entryAdded") if answer["params"]["entry"]["level"] == "error" => {
                    self.complaints.push(answer["params"]["entry"].to_string());
                }
                _ => {}
            }
            if answer["id"] == self.next_id {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Asked nicely, it takes its helper processes along.
        let close = json!({"id": 0, "method": "Browser.close"});
        let _ = self.socket.send(Message::text(close.to_string()));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let Some(value) = ALPHABET.iter().position(|&known| known == letter) else {
            continue;
        };
        bits = bits << 6 | u32::try_from(value).expect("below 64");
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).expect("a byte"));
        }
    }
    bytes
}
