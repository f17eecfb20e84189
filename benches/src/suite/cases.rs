//! What is measured, case by case.

use crate::peers::{ALL, Peer};

/// A workload with its cases: one section of the document.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) cases: &'static [Case],
    /// How much is measured unless the command line says.
    pub(crate) rounds: usize,
    pub(crate) secs: f64,
    /// Compares peers with themselves without the guard, and nobody else.
    pub(crate) guard: bool,
}

impl Section {
    /// What most sections begin with.
    const ORDINARY: Self = Self {
        name: "",
        title: "",
        about: "",
        columns: &[],
        cases: &[],
        rounds: 5,
        secs: 2.0,
        guard: false,
    };

    /// Whether its trials last as long as threads are blocked, whatever `--secs` says.
    pub(crate) fn blocks(&self) -> bool {
        let blocks = |case: &Case| matches!(case.kind, Kind::Stall { .. } | Kind::Chat { .. });
        self.cases.iter().any(blocks)
    }

    /// Whether `peer` belongs here at all.
    pub(crate) fn takes(&self, peer: &Peer) -> bool {
        let has_twin = || ALL.iter().any(|other| other.unguarded == Some(peer.name));
        match peer.unguarded {
            Some(_) => self.guard,
            None => !self.guard || has_twin(),
        }
    }
}

/// One figure of the tables.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) figure: &'static str,
    pub(crate) heading: &'static str,
    /// What the figure is divided by.
    pub(crate) unit: f64,
    pub(crate) show: Show,
}

/// How the rounds become one cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Show {
    /// The median and the range.
    Median,
    /// In how many rounds the figure was below this.
    Below(f64),
    /// The sum over all rounds.
    Sum,
    /// In how many rounds there was any.
    Any,
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
    /// A chat server of which `times` threads are blocked.
    Chat {
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
    /// The server may use every core, also that of the load generator.
    pub(crate) every_core: bool,
}

impl Case {
    /// Where the server runs, as `--core` takes it.
    pub(crate) fn place(&self) -> &'static str {
        if self.every_core { "all" } else { "0" }
    }

    /// Whether `peer` can take part.
    pub(crate) fn suits(&self, peer: &Peer) -> bool {
        match self.kind {
            Kind::Echo | Kind::Idle => peer.serve.is_some() && peer.name != "tokio-eager",
            Kind::Http | Kind::HttpClose => peer.serves("http"),
            Kind::Stall { .. } => peer.serves("stall"),
            Kind::Chat { .. } => peer.serves("chat"),
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
        every_core: false,
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

const fn stall_everywhere(name: &'static str, how: &'static str, times: usize) -> Case {
    Case {
        every_core: true,
        ..stall(name, how, times)
    }
}

/// A thousand people, who say 200 things a second.
const fn chat(name: &'static str, how: &'static str, times: usize) -> Case {
    Case {
        kind: Kind::Chat { how, times },
        rate: Some(200.0),
        ..echo(name, 0, 1_000)
    }
}

const fn column(figure: &'static str, heading: &'static str, unit: f64) -> Column {
    Column {
        figure,
        heading,
        unit,
        show: Show::Median,
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

const STALL: &[Column] = &[
    column("max_us", "worst ms", 1e3),
    Column {
        show: Show::Below(15.0),
        ..column("max_us", "worst below 15 ms", 1e3)
    },
    column("p99_us", "p99 ms", 1e3),
    column("p50_us", "median ms", 1e3),
    column("all_blocked_ms", "all blockers blocked for ms", 1.0),
    column("late_us", "load late by ms", 1e3),
];
const CHAT: &[Column] = &[
    column("p50_us", "message p50 ms", 1e3),
    column("p99_us", "p99 ms", 1e3),
    column("max_us", "worst ms", 1e3),
    column("calm_p99_us", "p99 ms before", 1e3),
    column("get_p50_us", "GET p50 ms", 1e3),
    column("get_p99_us", "p99 ms", 1e3),
    column("get_max_us", "worst ms", 1e3),
    column("all_blocked_ms", "all blockers blocked for ms", 1.0),
    Column {
        show: Show::Sum,
        ..column("missing", "messages missing", 1.0)
    },
    Column {
        show: Show::Sum,
        ..column("lost", "connections lost", 1.0)
    },
    Column {
        show: Show::Any,
        ..column("named", "log names chaos.rs", 1.0)
    },
    column("late_us", "load late by ms", 1e3),
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
        ..Section::ORDINARY
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
        ..Section::ORDINARY
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
        ..Section::ORDINARY
    },
    Section {
        name: "yield",
        title: "Yield",
        about: "a thousand tasks that yield in turn: the cost of each yield",
        columns: NS,
        cases: &[task("1,000 tasks", "yield")],
        ..Section::ORDINARY
    },
    Section {
        name: "ping_pong",
        title: "Channel round trip",
        about: "a number to another task and back, over the channel that each runtime offers",
        columns: NS,
        cases: &[task("two tasks", "ping-pong")],
        ..Section::ORDINARY
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
        ..Section::ORDINARY
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
        ..Section::ORDINARY
    },
    Section {
        name: "stall",
        title: "Answers while workers are blocked",
        about: "100 connections at 10,000 requests/s on two workers (`-mt2`; Go with GOMAXPROCS=2; \
                `tokio-eager` is tokio with two workers and its unstable eager driver hand-off); the \
                answers to requests of 64 B that were due during the 2 s in which one task or two \
                block their thread, asleep in a system call or busy. The server, all of its threads, \
                is bound to core 0 and the load generator spins on core 1; where it says \"on every \
                core\", the server may use both and the load generator sleeps between requests and goes \
                before it (as on another machine; real-time priority, as root). \
                \"Load late\" is by how much the load generator missed its own schedule at worst, \
                which is in the answers' times, too",
        columns: STALL,
        cases: &[
            stall("one task sleeps", "sleep", 1),
            stall("one task spins", "spin", 1),
            stall("two tasks sleep", "sleep", 2),
            stall("two tasks spin", "spin", 2),
            stall_everywhere("one task spins, on every core", "spin", 1),
            stall_everywhere("two tasks spin, on every core", "spin", 2),
        ],
        rounds: 10,
        ..Section::ORDINARY
    },
    Section {
        name: "guard",
        title: "What the guard costs",
        about: "each peer beside itself without a guard (`TAPIO_STALL_MS=0`), in many short rounds \
                that alternate; the ratio is that of two trials of the same round",
        columns: &[
            column("cpu_ns", "CPU ns per operation", 1.0),
            column("wall_ns", "ns on the clock", 1.0),
        ],
        cases: &[
            echo("echo of 64 B, 64 connections", 64, 64),
            task("yield, 1,000 tasks", "yield"),
            task("10 million short polls of ten tasks", "short-polls"),
        ],
        rounds: 30,
        secs: 0.3,
        guard: true,
    },
    Section {
        name: "chat",
        title: "A chat of which every worker is blocked",
        about: "`apps/hangout` and the same source on tokio (`hangout-tokio`, and \
                `hangout-tokio-eager` with its unstable eager driver hand-off), two workers each: \
                1,000 people in 20 rooms say 200 things a second, each of which goes to the 50 in \
                its room, while two `POST /chaos/block` block a thread for 2 s each. Counted are the \
                messages and the `GET /api` (50 a second) that were due meanwhile, from when they \
                were due; those missing had not come 20 s later. Places as in `stall`; \
                `--durability normal`; logs of the first round",
        columns: CHAT,
        cases: &[
            chat("two requests sleep", "sleep", 2),
            chat("two requests spin", "spin", 2),
            Case {
                every_core: true,
                ..chat("two requests spin, on every core", "spin", 2)
            },
        ],
        ..Section::ORDINARY
    },
];
