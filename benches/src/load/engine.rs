//! The loop that drives all connections, and the windows that it measures.

use std::{io, time::Duration};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::OwnedFd,
};

use super::{
    client::{Client, Exchange},
    plan::{LoadPlan, Protocol},
    stall::Blockers,
};
use crate::{
    clock::{CpuUse, ProcessClock, now_ns},
    histogram::Histogram,
    report::Figures,
};

const READ_BYTES: usize = 64 * 1024;
const EVENTS: usize = 512;
/// After the end of an open-loop window, this long is waited for late answers.
const DRAIN_NS: u64 = 20_000_000_000;
/// The longest sleep of the loop.
const NAP_NS: u64 = 10_000_000;

/// Runs `plan` and gives its figures.
///
/// # Errors
/// The server cannot be reached, or a connection broke: a load generator that
/// goes on without it would measure something else.
pub(crate) fn run(plan: &LoadPlan) -> Result<Figures, String> {
    let mut engine = Engine::connect(plan).map_err(|error| format!("connecting: {error}"))?;
    let clock = plan.pid.map(ProcessClock::of).transpose();
    let clock = clock.map_err(|error| format!("the server's CPU clock: {error}"))?;
    let used = || clock.map_or(Ok(CpuUse::default()), |clock| clock.used());
    let measure = |engine: &mut Engine| -> io::Result<Figures> {
        engine.start();
        engine.drive_for(plan.warmup)?;
        engine.clear();
        let (begin, before) = (now_ns(), used()?);
        match plan.block {
            None => engine.drive_for(plan.time)?,
            Some(block) => {
                let mut blockers = Blockers::connect(plan.address, block)?;
                engine.window = 0..0;
                blockers.drive(engine)?;
                return blockers.figures(engine);
            }
        }
        let (end, after) = (now_ns(), used()?);
        if engine.answered == 0 {
            return Err(io::Error::other(
                "no request was answered in the measured window",
            ));
        }
        let answered = engine.answered as f64;
        let mut figures = engine.latencies();
        let secs = (end - begin) as f64 / 1e9;
        figures.set("requests_per_s", answered / secs);
        if clock.is_some() {
            let (cpu, user) = after.since(&before);
            let per_request = cpu.as_secs_f64() * 1e6 / answered;
            figures.set("cpu_us", per_request);
            // As the workloads inside one process call it.
            figures.set("cpu_ns", per_request * 1e3);
            figures.set("wall_ns", secs * 1e9 / answered);
            figures.set("user_us", per_request * user);
            figures.set("core_percent", cpu.as_secs_f64() / secs * 100.0);
        }
        Ok(figures)
    };
    measure(&mut engine).map_err(|error| format!("load on {}: {error}", plan.address))
}

/// All connections and what is being measured on them.
pub(crate) struct Engine<'a> {
    plan: &'a LoadPlan,
    exchange: Exchange,
    clients: Vec<Client>,
    epoll: OwnedFd,
    events: Vec<Event>,
    buf: Vec<u8>,
    /// Only answers to requests that were due in here are recorded.
    pub(crate) window: std::ops::Range<u64>,
    pub(crate) latency: Histogram,
    answered: u64,
    /// Open loop: when the next request is due, and on which connection.
    next_due: f64,
    turn: usize,
    /// By how much a request in the window was sent too late, at most.
    late_ns: u64,
}

impl<'a> Engine<'a> {
    fn connect(plan: &'a LoadPlan) -> io::Result<Self> {
        let exchange = Exchange::learn(plan.protocol, plan.address)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut clients = Vec::with_capacity(plan.connections);
        for key in 0..plan.connections {
            let client = Client::connect(plan.address)?;
            watch(&epoll, &client, key)?;
            clients.push(client);
        }
        Ok(Self {
            plan,
            exchange,
            clients,
            epoll,
            events: Vec::with_capacity(EVENTS),
            buf: vec![0; READ_BYTES],
            window: 0..u64::MAX,
            latency: Histogram::new(),
            answered: 0,
            next_due: 0.0,
            turn: 0,
            late_ns: 0,
        })
    }

    fn start(&mut self) {
        self.next_due = now_ns() as f64;
        if self.plan.rate.is_none() {
            let now = now_ns();
            for client in &mut self.clients {
                // A failed send shows as a failed receive at once.
                let _ = client.send(&self.exchange, now);
            }
        }
    }

    fn clear(&mut self) {
        self.latency.clear();
        self.answered = 0;
        self.late_ns = 0;
    }

    /// Keeps the load up for `time`.
    pub(crate) fn drive_for(&mut self, time: Duration) -> io::Result<()> {
        let until = now_ns() + time.as_nanos() as u64;
        loop {
            let now = now_ns();
            if now >= until {
                return Ok(());
            }
            let next = self.send_due(now)?;
            self.step(next.min(until).saturating_sub(now))?;
        }
    }

    /// Sends nothing more and waits until every request has its answer.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        let until = now_ns() + DRAIN_NS;
        while self.clients.iter().any(|client| !client.is_idle()) {
            if now_ns() > until {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "requests without an answer",
                ));
            }
            self.step(NAP_NS)?;
        }
        Ok(())
    }

    /// Sends every request whose time has come; says when the next one's comes.
    fn send_due(&mut self, now: u64) -> io::Result<u64> {
        let Some(rate) = self.plan.rate else {
            return Ok(u64::MAX);
        };
        while self.next_due <= now as f64 {
            let (client, due) = (&mut self.clients[self.turn], self.next_due as u64);
            client.send(&self.exchange, due)?;
            if self.window.contains(&due) {
                self.late_ns = self.late_ns.max(now - due);
            }
            self.turn = (self.turn + 1) % self.clients.len();
            self.next_due += 1e9 / rate;
        }
        Ok(self.next_due as u64)
    }

    /// Takes one batch of events, sleeping at most `wait_ns` for it.
    fn step(&mut self, wait_ns: u64) -> io::Result<()> {
        let wait_ns = if self.plan.spin {
            0
        } else {
            wait_ns.min(NAP_NS)
        };
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: wait_ns as i64,
        };
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&wait))?;
        let closed_loop = self.plan.rate.is_none();
        for event in &self.events {
            let key = event.data.u64() as usize;
            let client = &mut self.clients[key];
            client.flush(&self.exchange)?;
            let mut again = 0;
            let now = now_ns();
            client.receive(&self.exchange, &mut self.buf, |due| {
                self.answered += 1;
                again += 1;
                if self.window.contains(&due) {
                    self.latency.record(now.saturating_sub(due));
                }
            })?;
            if again > 0 && self.plan.protocol == Protocol::HttpClose {
                *client = Client::connect(self.plan.address)?;
                watch(&self.epoll, client, key)?;
            }
            if closed_loop {
                for _ in 0..again {
                    client.send(&self.exchange, now)?;
                }
            }
        }
        Ok(())
    }

    /// The quantiles of what was recorded, in microseconds.
    pub(crate) fn latencies(&self) -> Figures {
        let mut figures = Figures::default();
        for (name, q) in [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)] {
            figures.set(name, self.latency.quantile(q) as f64 / 1e3);
        }
        figures.set("max_us", self.latency.max() as f64 / 1e3);
        figures.set("late_us", self.late_ns as f64 / 1e3);
        figures
    }
}

fn watch(epoll: &OwnedFd, client: &Client, key: usize) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
    epoll::add(epoll, &client.stream, EventData::new_u64(key as u64), flags)?;
    Ok(())
}
