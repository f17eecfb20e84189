//! What is measured, case by case.

use crate::peers::Peer;

/// A workload with its cases: one section of the document.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) cases: &'static [Case],
}

/// One figure of the tables.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) figure: &'static str,
    pub(crate) heading: &'static str,
    /// What the figure is divided by.
    pub(crate) unit: f64,
}

/// How a case is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A server and a load generator.
    Echo,
    Http,
    /// HTTP with a connection for each request.
    HttpClose,
    /// A server of which `times` threads are blocked.
    Stall {
        how: &'static str,
        times: usize,
    },
    /// A server that holds idle connections.
    Idle,
    /// Inside one process; the name is that of the task workload.
    Task(&'static str),
}

/// One table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) bytes: usize,
    pub(crate) connections: usize,
    /// Requests per second on a fixed schedule.
    pub(crate) rate: Option<f64>,
    /// The same as a share of what the epoll floor does on this machine.
    pub(crate) rate_share: Option<f64>,
}

impl Case {
    /// Whether `peer` can take part.
    pub(crate) fn suits(&self, peer: &Peer) -> bool {
        let can = |ability: &str| peer.serve.is_some() && peer.can.contains(&ability);
        match self.kind {
            Kind::Echo | Kind::Idle => peer.serve.is_some(),
            Kind::Http | Kind::HttpClose => can("http"),
            Kind::Stall { .. } => can("stall"),
            Kind::Task(_) => peer.run.is_some(),
        }
    }
}

const fn echo(name: &'static str, bytes: usize, connections: usize) -> Case {
    Case {
        name,
        kind: Kind::Echo,
        bytes,
        connections,
        rate: None,
        rate_share: None,
    }
}

const fn http(name: &'static str, kind: Kind, connections: usize) -> Case {
    Case {
        kind,
        ..echo(name, 0, connections)
    }
}

const fn task(name: &'static str, task: &'static str) -> Case {
    Case {
        kind: Kind::Task(task),
        ..echo(name, 0, 0)
    }
}

const fn stall(name: &'static str, how: &'static str, times: usize) -> Case {
    Case {
        kind: Kind::Stall { how, times },
        rate: Some(10_000.0),
        ..echo(name, 64, 100)
    }
}

const fn column(figure: &'static str, heading: &'static str, unit: f64) -> Column {
    Column {
        figure,
        heading,
        unit,
    }
}

const SERVING: &[Column] = &[
    column("cpu_us", "CPU µs per request", 1.0),
    column("user_us", "of it user", 1.0),
    column("requests_per_s", "requests/s", 1.0),
    column("p50_us", "p50 µs", 1.0),
    column("p99_us", "p99 µs", 1.0),
    column("p999_us", "p99.9 µs", 1.0),
];
const NS: &[Column] = &[
    column("cpu_ns", "CPU ns", 1.0),
    column("wall_ns", "ns on the clock", 1.0),
];

/// Every section, in the order of the document.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "echo",
        title: "TCP echo",
        about: "requests of 64 B and 16 KiB come back; closed loop, and open loop at a fixed rate",
        columns: SERVING,
        cases: &[
            echo("64 B, 1 connection", 64, 1),
            echo("64 B, 64 connections", 64, 64),
            echo("64 B, 512 connections", 64, 512),
            Case {
                rate: Some(51_000.0),
                ..echo("64 B, 64 connections, open loop at 51,000/s", 64, 64)
            },
            Case {
                rate_share: Some(0.5),
                ..echo(
                    "64 B, 64 connections, open loop at half of what the epoll floor does",
                    64,
                    64,
                )
            },
            echo("16 KiB, 1 connection", 16 << 10, 1),
            echo("16 KiB, 64 connections", 16 << 10, 64),
            echo("16 KiB, 512 connections", 16 << 10, 512),
        ],
    },
    Section {
        name: "http",
        title: "HTTP/1.1 hello",
        about: "hyper's http1 on each runtime's sockets; the floors answer without parsing",
        columns: SERVING,
        cases: &[
            http("keep-alive, 64 connections", Kind::Http, 64),
            http("keep-alive, 512 connections", Kind::Http, 512),
            http(
                "a connection for each request, 64 at a time",
                Kind::HttpClose,
                64,
            ),
        ],
    },
    Section {
        name: "spawn",
        title: "Spawn and join",
        about: "a task that returns a number: from spawn to the end of its handle",
        columns: NS,
        cases: &[
            task("one by one", "spawn"),
            task("a thousand at a time", "spawn-many"),
        ],
    },
    Section {
        name: "yield",
        title: "Yield",
        about: "a thousand tasks that yield in turn: the cost of each yield",
        columns: NS,
        cases: &[task("1,000 tasks", "yield")],
    },
    Section {
        name: "ping_pong",
        title: "Channel round trip",
        about: "a number to another task and back, over the channel that each runtime offers",
        columns: NS,
        cases: &[task("two tasks", "ping-pong")],
    },
    Section {
        name: "timers",
        title: "Timers",
        about: "a timer made, polled once and dropped; half a million tasks that sleep",
        columns: NS,
        cases: &[
            task("made and cancelled", "timer-churn"),
            task("500,000 sleepers", "sleepers"),
        ],
    },
    Section {
        name: "idle",
        title: "Memory of an idle connection",
        about: "bytes for each of 8,000 connections that were used once, without the task's own \
                buffer of 64 bytes",
        columns: &[
            column("heap_bytes", "allocated bytes", 1.0),
            column("resident_bytes", "growth of the resident set", 1.0),
            column("wakeups_per_s", "wake-ups/s afterwards", 1.0),
        ],
        cases: &[Case {
            kind: Kind::Idle,
            ..echo("8,000 connections", 64, 8_000)
        }],
    },
    Section {
        name: "stall",
        title: "Answers while workers are blocked",
        about: "100 connections at 10,000 requests/s on two workers; the answers to requests that \
                were due during the 2 s in which one task or two block their thread",
        columns: &[
            column("max_us", "worst ms", 1e3),
            column("p99_us", "p99 ms", 1e3),
            column("p50_us", "median ms", 1e3),
            column("all_blocked_ms", "all blockers blocked for ms", 1.0),
        ],
        cases: &[
            stall("one task sleeps", "sleep", 1),
            stall("one task spins", "spin", 1),
            stall("two tasks sleep", "sleep", 2),
            stall("two tasks spin", "spin", 2),
        ],
    },
];
