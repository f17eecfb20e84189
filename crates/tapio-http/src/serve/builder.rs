//! `serve`, its settings, and the future that runs it.

use std::fmt;
use std::future::{Future, IntoFuture, pending};
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::panic::{self, Location};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use tapio::task::{self, JoinHandle};

use crate::rt::{TapioExecutor, TapioTimer};
use crate::serve::accept::{Signal, accept_until};
use crate::serve::graceful::drain;
use crate::serve::listener::Listener;
use crate::serve::registry::Registry;
use crate::serve::report::{Counts, OpenConnection, Report};
use crate::serve::service::MakeService;
use crate::serve::settings::Settings;

/// Serves HTTP/1.1 and HTTP/2 on the connections of a listener.
///
/// The listener is a [`tapio::net::TcpListener`], a [`tapio::net::UnixListener`]
/// or any other [`Listener`]; the service is an `axum::Router`, any `tower` or
/// hyper service, or one that makes services: see [`MakeService`].
///
/// What it returns takes settings, and runs when it is awaited, until the signal
/// of [`with_graceful_shutdown`](Serve::with_graceful_shutdown) or for ever.
///
/// # Examples
///
/// ```no_run
/// use axum::{Router, routing::get};
///
/// # async fn run() -> std::io::Result<()> {
/// let app = Router::new().route("/", get(|| async { "hello" }));
/// let listener = tapio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// tapio_http::serve(listener, app).await?;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn serve<L, M, K>(listener: L, service: M) -> Serve<L, M, K>
where
    L: Listener,
    M: MakeService<L::Addr, K>,
{
    Serve {
        listener,
        service,
        signal: None,
        settings: Settings::default(),
        registry: Arc::default(),
        kind: PhantomData,
    }
}

/// A server that has not begun; [`serve`] returns it.
#[must_use = "a server does nothing until it is awaited"]
pub struct Serve<L, M, K> {
    listener: L,
    service: M,
    signal: Option<Signal>,
    settings: Settings,
    registry: Arc<Registry>,
    kind: PhantomData<fn(K)>,
}

impl<L, M, K> Serve<L, M, K>
where
    L: Listener,
    M: MakeService<L::Addr, K>,
{
    /// Serves HTTP/1.0 and HTTP/1.1, or not. On by default.
    ///
    /// With HTTP/2 on as well, the first bytes of a connection decide.
    pub fn http1(mut self, enabled: bool) -> Self {
        self.settings.with_http1 = enabled;
        self
    }

    /// Serves HTTP/2 to clients that begin with it ("prior knowledge"), or not.
    /// On by default.
    pub fn http2(mut self, enabled: bool) -> Self {
        self.settings.with_http2 = enabled;
        self
    }

    /// Limits the time from the first byte of a request's head, or from the
    /// beginning of a connection, to the end of the head. 30 seconds by default.
    ///
    /// A connection that takes longer is closed. Over HTTP/2 this is about the
    /// first request, and may take twice as long; later it is
    /// [`idle_timeout`](Serve::idle_timeout) that ends such a connection.
    pub fn header_read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.header_read_timeout = timeout.into();
        self
    }

    /// Limits how long a client may keep the service waiting for the body of its
    /// request. 30 seconds by default; `None` waits for ever.
    ///
    /// It may take up to twice as long: the clock is not read when bytes come.
    /// The service gets an error from the [`Body`](crate::Body), and over HTTP/1 a
    /// connection that is still waited for after the same time is closed. Time
    /// that the service itself takes does not count.
    ///
    /// Turn it off where bodies are conversations (streams of gRPC, say) that may
    /// pause. A service of hyper's that takes `Request<Incoming>` rather than
    /// `Request<Body>` is not covered.
    pub fn body_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.body_timeout = timeout.into();
        self
    }

    /// Closes a connection whose peer takes nothing of its response for this
    /// long. 30 seconds by default; `None` waits for ever.
    ///
    /// It may take up to twice as long, and up to four times over HTTP/2 where
    /// the peer reads, but grants a stream no window. What counts is what the
    /// peer has received ([`Listener::unsent`]), not what the kernel has taken.
    /// Over HTTP/2 the connection is judged as a whole: its other streams end as
    /// well, and a stream that stands still beside others that move is left.
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.write_timeout = timeout.into();
        self
    }

    /// Sets how many bytes a second a client that is waited for must move, on
    /// average over [`body_timeout`](Serve::body_timeout) or
    /// [`write_timeout`](Serve::write_timeout). 256 by default; with 0, one byte in
    /// that time is enough.
    pub fn min_rate(mut self, bytes_per_second: u64) -> Self {
        self.settings.min_rate = bytes_per_second;
        self
    }

    /// Closes a connection that has had no request for this long. 75 seconds by
    /// default; `None` keeps idle connections for ever.
    ///
    /// It may take up to twice as long: the clock is not read at every request.
    /// Upgraded connections are not meant. One of HTTP/2 that carries an upgraded
    /// stream is asked to take its further requests elsewhere, and ends with that
    /// stream.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.idle_timeout = timeout.into();
        self
    }

    /// Pings HTTP/2 peers at this interval and closes connections that do not
    /// answer within the timeout. Off by default.
    pub fn http2_keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.settings
            .http2
            .timer(TapioTimer::new())
            .keep_alive_interval(interval)
            .keep_alive_timeout(timeout);
        self
    }

    /// Keeps HTTP/1 connections open for further requests, or closes each after
    /// its first. On by default.
    pub fn http1_keep_alive(mut self, enabled: bool) -> Self {
        self.settings.http1.keep_alive(enabled);
        self
    }

    /// Sets anything else that hyper has for HTTP/1.
    ///
    /// hyper's own header timeout is off here: this crate has one, which does
    /// not touch a timer for each request.
    pub fn configure_http1(mut self, configure: impl FnOnce(&mut http1::Builder)) -> Self {
        configure(&mut self.settings.http1);
        self
    }

    /// Sets anything else that hyper has for HTTP/2.
    pub fn configure_http2(
        mut self,
        configure: impl FnOnce(&mut http2::Builder<TapioExecutor>),
    ) -> Self {
        configure(&mut self.settings.http2);
        self
    }

    /// Limits how many connections are open at a time, upgraded ones included.
    /// There is no limit by default.
    ///
    /// At the limit nothing is accepted, so that further clients wait in the
    /// kernel's queue until a connection closes. Each such pause is counted in
    /// [`Counts::limit_pauses`], and one line is logged.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.settings.connections_max = max;
        self
    }

    /// Sends small packets at once (`TCP_NODELAY`), or lets the kernel collect
    /// them. On by default, and nothing where there is no TCP.
    pub fn tcp_nodelay(mut self, enabled: bool) -> Self {
        self.settings.nodelay = enabled;
        self
    }

    /// Stops the server when `signal` is ready.
    ///
    /// Then the listener is closed, so that its port refuses at once; idle
    /// connections are closed; the others finish what they are answering and
    /// close. At the deadline of [`drain_timeout`](Serve::drain_timeout) the rest
    /// is cut. The server returns a [`Report`] that says which those were.
    pub fn with_graceful_shutdown<F>(mut self, signal: F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.signal = Some(Box::pin(signal));
        self
    }

    /// Limits how long a graceful stop waits for open connections. 10 seconds by
    /// default; `None` waits until the last one has ended.
    pub fn drain_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.drain_timeout = timeout.into();
        self
    }

    /// Waits for upgraded connections (WebSocket) when stopping, and cuts them
    /// at the deadline, or leaves them alone. On by default.
    ///
    /// HTTP cannot ask an upgraded connection to end. Their handlers can: let
    /// them watch the same signal and say goodbye in their own protocol. One that
    /// is cut sees an error of the kind [`io::ErrorKind::ConnectionAborted`] at
    /// its next read or write. Turned off, a stop does not wait for them; those
    /// that are open are still named in the report, and go on.
    pub fn wait_for_upgraded(mut self, enabled: bool) -> Self {
        self.settings.waits_for_upgraded = enabled;
        self
    }

    /// Returns the address that is listened on.
    ///
    /// # Errors
    ///
    /// What the system call says.
    pub fn local_addr(&self) -> io::Result<L::LocalAddr> {
        self.listener.local_addr()
    }

    /// Returns a handle that shows what the server is doing while it runs.
    pub fn monitor(&self) -> Monitor {
        Monitor {
            registry: Arc::clone(&self.registry),
        }
    }
}

impl<L, M, K> IntoFuture for Serve<L, M, K>
where
    L: Listener,
    M: MakeService<L::Addr, K>,
    K: 'static,
{
    type Output = io::Result<Report>;
    type IntoFuture = Serving;

    fn into_future(self) -> Serving {
        let served_at = self.settings.served_at;
        let run = async move {
            self.settings.check()?;
            let settings = Arc::new(self.settings);
            accept_until(
                self.listener,
                self.service,
                self.signal,
                &settings,
                &self.registry,
            )
            .await?;
            Ok(drain(&self.registry, &settings).await)
        };
        Serving {
            stage: Running::Before(Box::pin(run)),
            served_at,
        }
    }
}

impl<L: fmt::Debug, M, K> fmt::Debug for Serve<L, M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A running server: the future of [`Serve`].
///
/// Accepting runs as a task of its own, so that connections begin on a worker
/// whoever waits for this future.
///
/// # Errors
///
/// Settings that cannot work, a listener that is broken, or a `tower` service
/// that will make no services any more. Connections that are open then go on.
/// Errors of single connections, and those of accepting that pass, are counted
/// and logged instead.
///
/// # Panics
///
/// If the signal's future panics, and outside a Tapio runtime.
///
/// # Cancel safety
///
/// Dropped early, the server stops accepting and closes its listener. Open
/// connections go on until they end by themselves.
#[must_use = "futures do nothing unless polled"]
pub struct Serving {
    stage: Running,
    served_at: &'static Location<'static>,
}

enum Running {
    Before(Pin<Box<dyn Future<Output = io::Result<Report>> + Send>>),
    /// In a tuple: when this future is dropped, the outcome is nobody's loss.
    Task(JoinHandle<(io::Result<Report>,)>),
}

impl Future for Serving {
    type Output = io::Result<Report>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Running::Before(run) = &mut self.stage {
            // A box of nothing takes its place for the moment.
            let run = mem::replace(run, Box::pin(pending()));
            let task = task::Builder::new().spawned_at(self.served_at);
            let task = task.spawn(async { (run.await,) });
            self.stage = Running::Task(task.expect("spawning a task does not fail"));
        }
        let Running::Task(task) = &mut self.stage else {
            unreachable!("the task was started above");
        };
        Poll::Ready(match ready!(Pin::new(task).poll(cx)) {
            Ok((outcome,)) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                Err(_) => Err(io::Error::other(
                    "the runtime shut down while the server was running",
                )),
            },
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Running::Task(task) = &self.stage {
            task.abort();
        }
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").finish_non_exhaustive()
    }
}

/// Shows what a server is doing; [`Serve::monitor`] returns it.
///
/// It may be kept after the server's end.
#[derive(Clone, Debug)]
pub struct Monitor {
    registry: Arc<Registry>,
}

impl Monitor {
    /// Returns what has been counted so far.
    ///
    /// # Cost
    ///
    /// It looks at every open connection; requests are counted there, so that
    /// counting costs the request nothing.
    pub fn counts(&self) -> Counts {
        self.registry.counts()
    }

    /// Returns the number of open connections, upgraded ones included.
    pub fn open_count(&self) -> usize {
        self.registry.open_count()
    }

    /// Describes the open connections, oldest first.
    pub fn open(&self) -> Vec<OpenConnection> {
        self.registry
            .describe()
            .into_iter()
            .map(|(connection, _)| connection)
            .collect()
    }
}
