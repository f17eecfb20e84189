//! A server on a runtime of its own, and a blocking client for it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tapio::net::TcpListener;
use tapio::runtime::{Builder, DriverKind, Runtime};
use tapio::sync::oneshot;
use tapio::task::JoinHandle;
use tapio_http::serve::service::MakeService;
use tapio_http::{Monitor, OpenConnection, Report, Serve};

/// Nothing here takes this long unless something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Which driver a runtime gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Driver(DriverKind);

impl Driver {
    pub(crate) fn name(self) -> &'static str {
        self.0.name()
    }

    pub(crate) fn runtime(self) -> Runtime {
        self.builder().build().unwrap()
    }

    /// As `runtime`, with a name for reports.
    pub(crate) fn named(self, name: &str) -> Runtime {
        self.builder().name(name).build().unwrap()
    }

    fn builder(self) -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).driver(self.0).enable_all();
        builder
    }

    pub(crate) fn single_thread(self) -> Runtime {
        Builder::new_current_thread()
            .driver(self.0)
            .enable_all()
            .build()
            .unwrap()
    }
}

/// Runs a test once on each driver, or on the one that `TAPIO_DRIVER` names.
pub(crate) fn on_each_driver(test: impl Fn(Driver)) {
    let wanted = std::env::var("TAPIO_DRIVER").ok();
    for kind in [DriverKind::Ring, DriverKind::Poll] {
        if wanted.as_ref().is_none_or(|name| name == kind.name()) {
            test(Driver(kind));
        }
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) monitor: Monitor,
    pub(crate) runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<Report>>,
}

impl Server {
    /// Serves on a free port with the default settings.
    pub(crate) fn start<M, K>(driver: Driver, service: M) -> Self
    where
        M: MakeService<SocketAddr, K>,
        K: 'static,
    {
        Self::start_with(driver, service, |serve| serve)
    }

    /// Serves on a free port with settings of the test's.
    pub(crate) fn start_with<M, K>(
        driver: Driver,
        service: M,
        set: impl FnOnce(Serve<TcpListener, M, K>) -> Serve<TcpListener, M, K>,
    ) -> Self
    where
        M: MakeService<SocketAddr, K>,
        K: 'static,
    {
        let runtime = driver.runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = set(tapio_http::serve(listener, service)).with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        let monitor = serve.monitor();
        let task = runtime.spawn(serve.into_future());
        Self {
            addr,
            monitor,
            runtime,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.addr)
    }

    /// Waits until what the server knows of its connections is as expected.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&[OpenConnection]) -> bool) {
        let found = || is_so(&self.monitor.open());
        let is_found = wait_until(found);
        assert!(
            is_found,
            "{what}: waited in vain; open: {:#?}",
            self.monitor.open()
        );
    }

    /// Gives the signal to stop, and returns without waiting for the end.
    pub(crate) fn signal(&mut self) {
        let stop = self.stop.take().expect("the signal is given once");
        stop.send(()).expect("the server waits for the signal");
    }

    /// Waits for the end of a server that has been told to stop.
    pub(crate) fn report(self) -> Report {
        self.end().expect("the server ends well")
    }

    /// The same, and does something before the runtime ends.
    pub(crate) fn report_and(self, before_the_end: impl FnOnce()) -> Report {
        self.end_and(before_the_end).expect("the server ends well")
    }

    /// Waits for the end of a server that ends by itself.
    pub(crate) fn end(self) -> io::Result<Report> {
        self.end_and(|| {})
    }

    fn end_and(self, before_the_end: impl FnOnce()) -> io::Result<Report> {
        let Self {
            runtime,
            task,
            stop,
            ..
        } = self;
        let outcome = runtime
            .block_on(async { tapio::time::timeout(PATIENCE, task).await })
            .expect("the server stops in time")
            .expect("the server does not panic");
        before_the_end();
        drop(stop);
        outcome
    }

    /// Stops the server and returns its report.
    pub(crate) fn stop(mut self) -> Report {
        self.signal();
        self.report()
    }
}

/// Waits for a state that others bring about. It is asked for again and again,
/// since counters cannot be waited for.
pub(crate) fn wait_until(is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if is_so() {
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

/// A blocking connection that speaks just enough HTTP/1.1.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        // A safety net: nothing waits for it.
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// The same connection once more, to write to it from another thread.
    pub(crate) fn second_half(&self) -> Self {
        let stream = self.stream.get_ref().try_clone().unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.stream.get_ref().local_addr().unwrap()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_ref().write_all(bytes.as_ref())
    }

    pub(crate) fn send_get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send_get(path);
        self.answer()
    }

    pub(crate) fn finish_sending(&mut self) {
        self.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    pub(crate) fn try_answer(&mut self) -> io::Result<Answer> {
        let (status, headers) = self.head()?;
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        if let Some(length) = answer.header("content-length") {
            answer.body.resize(length.parse().unwrap(), 0);
            self.stream.read_exact(&mut answer.body)?;
        } else if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(self.line()?.trim(), 16).unwrap();
                let start = answer.body.len();
                answer.body.resize(start + size, 0);
                self.stream.read_exact(&mut answer.body[start..])?;
                assert_eq!(self.line()?, "\r\n");
                if size == 0 {
                    break;
                }
            }
        }
        Ok(answer)
    }

    /// Reads a status line and headers.
    pub(crate) fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let status_line = self.line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                return Ok((status, headers));
            };
            headers.push((name.to_owned(), value.to_owned()));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if line.ends_with('\n') {
            return Ok(line);
        }
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("closed after {line:?}"),
        ))
    }

    pub(crate) fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads to the end of the connection, which may be a reset.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("the connection stays open: {error}"),
        }
    }

    pub(crate) fn is_closed_by_server(&mut self) -> bool {
        self.read_to_end().is_empty()
    }
}
