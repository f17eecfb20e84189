//! What a server tells about itself: while it runs, and when it has stopped.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use tapio::time::Instant;

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// An address of an IP socket.
    Ip(SocketAddr),
    /// The other end of a Unix socket.
    Unix {
        /// The path that it is bound to, which clients rarely are.
        path: Option<PathBuf>,
        /// The process that connected, where the kernel says so.
        pid: Option<i32>,
    },
    /// What a listener of another kind calls it.
    Named(Box<str>),
    /// The listener does not say.
    Unnamed,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Ip(addr) => addr.fmt(f),
            Peer::Unix {
                path: Some(path), ..
            } => path.display().fmt(f),
            Peer::Unix { pid: Some(pid), .. } => write!(f, "process {pid}"),
            Peer::Unix { .. } => f.write_str("unix socket"),
            Peer::Named(name) => f.write_str(name),
            Peer::Unnamed => f.write_str("unnamed peer"),
        }
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// It waits for a request, and nothing of the next one is here.
    Idle,
    /// A part of a request's head is here, and the rest is awaited.
    Receiving,
    /// A request is being answered: the handler works, or its body is read or
    /// its response is written.
    Busy,
    /// The answer is ready, and the peer does not take it.
    Sending,
    /// It speaks another protocol by now, such as WebSocket.
    Upgraded,
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Activity::Idle => "idle",
            Activity::Receiving => "receiving a request",
            Activity::Busy => "busy",
            Activity::Sending => "sending to a peer that does not read",
            Activity::Upgraded => "upgraded",
        })
    }
}

/// Which version of HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Too little has been received to tell.
    Undecided,
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Undecided => "no protocol yet",
            Protocol::Http1 => "HTTP/1",
            Protocol::Http2 => "HTTP/2",
        })
    }
}

/// The request that a connection received last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastRequest {
    /// Its method.
    pub method: Method,
    /// Its path, without the query, which may hold secrets, and cut after
    /// 256 bytes.
    pub path: String,
}

impl fmt::Display for LastRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// A connection that was open when the question was asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenConnection {
    /// Who is at the other end.
    pub peer: Peer,
    /// When it was accepted.
    pub since: Instant,
    /// For how long it had been open.
    pub open_for: Duration,
    /// What it speaks.
    pub protocol: Protocol,
    /// What it was doing.
    pub activity: Activity,
    /// How many requests it had sent, those being answered included.
    pub requests: u64,
    /// How many of them were being answered.
    pub in_flight: u32,
    /// The last of them, unless there was none.
    pub last_request: Option<LastRequest>,
    /// In a [`Report`]: whether the connection was gone when the server
    /// returned. One whose handler blocks its thread, and an upgraded one whose
    /// task does not look at it, cannot be taken away.
    pub dropped: bool,
}

impl fmt::Display for OpenConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            peer,
            protocol,
            activity,
            open_for,
            ..
        } = self;
        let requests = counted(self.requests, "request");
        write!(
            f,
            "{peer} ({protocol}, {activity}), open for {open_for:.1?}, {requests}"
        )?;
        if let Some(last) = &self.last_request {
            write!(f, ", last {last}")?;
        }
        Ok(())
    }
}

/// What a server has counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Requests received, on all of them.
    pub requests: u64,
    /// Handlers and response bodies that panicked. Each took its connection with
    /// it (its stream, over HTTP/2), and no other.
    pub panics: u64,
    /// Connections that ended with an error: cut off by the peer, not HTTP, or
    /// given up by the service.
    pub failed: u64,
    /// Connections closed because a request's head did not arrive in time.
    pub header_timeouts: u64,
    /// Request bodies that were given up because they did not come in time.
    pub body_timeouts: u64,
    /// Connections closed because their peer did not read what it was sent.
    pub write_timeouts: u64,
    /// Connections closed because they were idle for too long.
    pub idle_timeouts: u64,
    /// How often accepting a connection failed.
    pub accept_errors: u64,
    /// How often accepting paused because the limit of connections was reached.
    pub limit_pauses: u64,
}

/// How a server stopped.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What it counted.
    pub counts: Counts,
    /// How long it took from the signal to the end.
    pub drained_in: Duration,
    /// The connections that were still open at the drain deadline: all that did
    /// not end by themselves. Empty after a stop that nobody noticed.
    pub open: Vec<OpenConnection>,
}

impl Report {
    /// Says whether every connection had ended before the deadline.
    pub fn is_clean(&self) -> bool {
        self.open.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "served {} on {}, stopped in {:.1?}",
            counted(self.counts.requests, "request"),
            counted(self.counts.connections, "connection"),
            self.drained_in
        )?;
        if self.is_clean() {
            return f.write_str(", nothing left open");
        }
        let open = self.open.len() as u64;
        write!(f, ", {} still open:", counted(open, "connection"))?;
        for connection in &self.open {
            write!(f, "\n  {connection}")?;
        }
        Ok(())
    }
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
