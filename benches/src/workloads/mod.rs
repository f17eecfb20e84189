//! What is measured. No runtime is named here.
//!
//! [`Connection`] workloads run in a server process and are driven by the load
//! generator: [`echo`], [`http`], [`stall`] (and `idle`, which is an echo server
//! that is asked how much memory it holds). [`Task`] workloads run inside one
//! process: [`spawn`], [`yielding`], [`ping_pong`], [`timers`].
//!
//! The two macros at the end are how a peer runs them: they expand where the
//! peer's types are concrete.

pub(crate) mod echo;
pub(crate) mod http;
pub(crate) mod ping_pong;
pub(crate) mod spawn;
pub(crate) mod stall;
pub(crate) mod timers;
pub(crate) mod yielding;

use std::time::{Duration, Instant};

use crate::{
    clock::{now_ns, own_cpu_ns},
    stats::median,
};

/// What a server does with each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Sends back what arrives, with a buffer of so many bytes.
    Echo { bytes: usize },
    /// Answers HTTP/1.1 requests with hyper.
    Http,
    /// As echo with frames of 64 bytes; some frames ask to block the thread.
    Stall,
}

impl Connection {
    /// Reads the name that `serve --workload` takes.
    pub(crate) fn parse(name: &str, bytes: usize) -> Result<Self, String> {
        match name {
            "echo" => Ok(Self::Echo { bytes }),
            "http" => Ok(Self::Http),
            "stall" => Ok(Self::Stall),
            _ => Err(format!(
                "no workload for connections is called {name:?}: echo, http, stall"
            )),
        }
    }
}

/// Work inside one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Spawn a task, wait for it, repeat.
    Spawn,
    /// Spawn a thousand tasks, then wait for all.
    SpawnMany,
    /// A thousand tasks, each yields a thousand times.
    Yield,
    /// Ten tasks, each yields a million times.
    ShortPolls,
    /// A number goes to another task and comes back.
    PingPong,
    /// A timer is made, polled once and dropped.
    TimerChurn,
    /// Half a million tasks sleep until moments spread over a second.
    Sleepers,
}

impl Task {
    pub(crate) const ALL: [(&'static str, Self); 7] = [
        ("spawn", Self::Spawn),
        ("spawn-many", Self::SpawnMany),
        ("yield", Self::Yield),
        ("short-polls", Self::ShortPolls),
        ("ping-pong", Self::PingPong),
        ("timer-churn", Self::TimerChurn),
        ("sleepers", Self::Sleepers),
    ];

    /// Reads the name that `run --workload` takes.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        let names: Vec<&str> = Self::ALL.iter().map(|(known, _)| *known).collect();
        let complaint = || format!("no task workload is called {name:?}: {}", names.join(", "));
        found.map(|(_, task)| *task).ok_or_else(complaint)
    }
}

/// How long a task workload repeats its batches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) time: Duration,
    /// Smaller batches, to see whether all runs at all.
    pub(crate) quick: bool,
}

/// What an operation costs, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU time of all threads of the process: what other processes do on the
    /// machine blurs it less.
    pub(crate) cpu_ns: f64,
    /// Time on the clock.
    pub(crate) wall_ns: f64,
}

/// The beginning of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    cpu_ns: u64,
    wall_ns: u64,
}

impl Start {
    pub(crate) fn now() -> Self {
        Self {
            cpu_ns: own_cpu_ns(),
            wall_ns: now_ns(),
        }
    }

    /// What each of `ops` operations since then has cost.
    pub(crate) fn cost(self, ops: u64) -> Cost {
        let each = |now: u64, start: u64| (now - start) as f64 / ops as f64;
        Cost {
            cpu_ns: each(own_cpu_ns(), self.cpu_ns),
            wall_ns: each(now_ns(), self.wall_ns),
        }
    }
}

/// Collects the cost per operation, batch by batch, until the time is over.
#[derive(Debug)]
pub(crate) struct Batches {
    until: Instant,
    costs: Vec<Cost>,
    warm: bool,
}

impl Batches {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            until: Instant::now() + plan.time,
            costs: Vec::new(),
            warm: false,
        }
    }

    /// Whether another batch is due. At least one is measured after the warm-up.
    pub(crate) fn more(&self) -> bool {
        self.costs.is_empty() || Instant::now() < self.until
    }

    /// Takes a batch of `ops` operations; the first is the warm-up.
    pub(crate) fn add(&mut self, start: Start, ops: u64) {
        if self.warm {
            self.costs.push(start.cost(ops));
        }
        self.warm = true;
    }

    /// The medians over the batches.
    pub(crate) fn cost(&self) -> Cost {
        let over = |of: fn(&Cost) -> f64| median(&self.costs.iter().map(of).collect::<Vec<_>>());
        Cost {
            cpu_ns: over(|cost| cost.cpu_ns),
            wall_ns: over(|cost| cost.wall_ns),
        }
    }
}

/// Spawns the task for one accepted connection: `connection!(workload, stream, spawn)`.
macro_rules! connection {
    ($workload:expr, $stream:expr, $io:expr, $spawn:expr) => {
        match $workload {
            $crate::workloads::Connection::Echo { bytes } => {
                $spawn($crate::workloads::echo::connection($stream, bytes));
            }
            $crate::workloads::Connection::Stall => {
                $spawn($crate::workloads::stall::connection($stream));
            }
            $crate::workloads::Connection::Http => {
                $spawn($crate::workloads::http::connection($io));
            }
        }
    };
}
pub(crate) use connection;

/// Runs a task workload: `tasks!(Primitives, task, plan, spawn, enter)`.
///
/// `spawn` gives a future of the task's output; `enter` runs a future to its end
/// as a task, so that the one who spawns, sends and waits is a task as well.
macro_rules! tasks {
    ($peer:ty, $task:expr, $plan:expr, $spawn:expr, $enter:expr) => {{
        use $crate::workloads::{Task, ping_pong, spawn, timers, yielding};
        let plan: $crate::workloads::Plan = $plan;
        match $task {
            Task::Spawn => $enter(spawn::one_by_one(plan, spawn::task, $spawn)),
            Task::SpawnMany => $enter(spawn::many(plan, spawn::task, $spawn)),
            Task::Yield => $enter(yielding::run(
                plan,
                yielding::CROWD,
                yielding::task::<$peer>,
                $spawn,
            )),
            Task::ShortPolls => $enter(yielding::run(
                plan,
                yielding::FEW,
                yielding::task::<$peer>,
                $spawn,
            )),
            Task::PingPong => $enter(ping_pong::run::<$peer, _, _>(
                plan,
                ping_pong::task::<$peer>,
                $spawn,
            )),
            Task::TimerChurn => $enter(timers::churn::<$peer>(plan)),
            Task::Sleepers => $enter(timers::sleepers(plan, timers::task::<$peer>, $spawn)),
        }
    }};
}
pub(crate) use tasks;
