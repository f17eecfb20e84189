//! Any sequence of operations over real sockets, against a naive model: whoever
//! waits for what the model says is there is told, nobody else is, and closing
//! takes effect when it should.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tapio_driver::{Direction, Ready};

use crate::rig::{Bell, Line, Rig, with_watchdog};

/// Sequences for each driver; one takes about a millisecond.
const CASES: u32 = 150;
const SLOTS: usize = 6;

#[derive(Clone, Debug)]
enum Op {
    /// Opens a line in a slot that has none; its number was often used before.
    Open(usize),
    /// The peer sends some bytes.
    Send(usize, usize),
    /// Reads until it would block, and waits.
    Read(usize),
    /// Writes until it would block, and waits.
    Fill(usize),
    /// The peer takes all that was written.
    Drain(usize),
    /// The peer ends its stream.
    Finish(usize),
    /// Ends the watch and closes the line, on the owner's thread or another.
    Close(usize),
    CloseElsewhere(usize),
    /// The owner parks until nothing more comes of it.
    Park,
    Unpark,
    /// Another thread becomes the owner.
    ChangeHands,
}

fn any_op() -> impl Strategy<Value = Op> {
    let slot = || 0..SLOTS;
    prop_oneof![
        4 => slot().prop_map(Op::Open),
        4 => (slot(), 1..50_usize).prop_map(|(slot, bytes)| Op::Send(slot, bytes)),
        6 => slot().prop_map(Op::Read),
        2 => slot().prop_map(Op::Fill),
        2 => slot().prop_map(Op::Drain),
        1 => slot().prop_map(Op::Finish),
        2 => slot().prop_map(Op::Close),
        1 => slot().prop_map(Op::CloseElsewhere),
        6 => Just(Op::Park),
        1 => Just(Op::Unpark),
        1 => Just(Op::ChangeHands),
    ]
}

/// One line, and what the model knows of it.
struct Slot {
    line: Line,
    waits: [Option<Arc<Bell>>; 2],
    /// Something happened in this direction since the driver last settled.
    has_moved: [bool; 2],
    /// Bytes that were sent, and of them those that were read.
    sent: usize,
    read: usize,
    is_finished: bool,
    is_full: bool,
}

struct World {
    rig: Rig,
    slots: [Option<Slot>; SLOTS],
}

/// What became of an attempt to read or write.
enum Attempt {
    Done(usize),
    /// It waits to be told; `has_blocked` when the kernel was asked.
    Waits {
        has_blocked: bool,
    },
}

#[test]
fn any_sequence_of_operations() {
    let seed = match env::var("TAPIO_SEED") {
        Ok(text) => text.parse().expect("TAPIO_SEED is a number"),
        Err(_) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |now| u64::from(now.subsec_nanos()))
        }
    };
    with_watchdog(|| {
        let mut runner = TestRunner::new(Config {
            cases: CASES,
            failure_persistence: None,
            max_shrink_iters: 1_000,
            rng_seed: RngSeed::Fixed(seed),
            ..Config::default()
        });
        let outcome = runner.run(&vec(any_op(), 1..80), |ops| {
            let world = World {
                rig: Rig::open(),
                slots: Default::default(),
            };
            world.run(&ops).end();
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("replay with TAPIO_SEED={seed}: {error}");
        }
    });
}

impl World {
    fn run(mut self, ops: &[Op]) -> World {
        for (index, op) in ops.iter().enumerate() {
            if let Op::ChangeHands = op {
                let rest = &ops[index + 1..];
                // The former owner lives on, blocked.
                let end = thread::scope(|scope| {
                    let next = scope.spawn(move || self.run(rest));
                    next.join()
                });
                return end.unwrap_or_else(|panic| resume_unwind(panic));
            }
            self.apply(op);
        }
        self
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Open(slot) if self.slots[slot].is_none() => {
                self.slots[slot] = Some(Slot::new());
            }
            Op::Close(slot) => {
                if let Some(mut slot) = self.slots[slot].take() {
                    slot.line.close();
                    assert!(has_ended(&slot.line), "closed at once");
                }
            }
            Op::CloseElsewhere(slot) => {
                if let Some(mut slot) = self.slots[slot].take() {
                    let closing = thread::spawn(move || {
                        slot.line.close();
                        slot.line
                    });
                    let line = closing.join().expect("it is closed");
                    assert!(has_ended(&line), "closed at once");
                }
            }
            Op::Park => self.park(),
            Op::Unpark => self.rig.remote.unpark(),
            Op::Send(slot, bytes) => self.with(slot, |slot, _| slot.send(bytes)),
            Op::Read(slot) => self.with(slot, Slot::read),
            Op::Fill(slot) => self.with(slot, Slot::fill),
            Op::Drain(slot) => self.with(slot, |slot, _| slot.drain()),
            Op::Finish(slot) => self.with(slot, |slot, _| slot.finish()),
            Op::Open(_) | Op::ChangeHands => {}
        }
    }

    fn with(&mut self, slot: usize, f: impl FnOnce(&mut Slot, &Rig)) {
        if let Some(slot) = &mut self.slots[slot] {
            f(slot, &self.rig);
        }
    }

    fn park(&mut self) {
        self.rig.settle();
        for slot in self.slots.iter_mut().flatten() {
            for direction in Direction::BOTH {
                slot.check(&mut self.rig, direction);
            }
        }
    }

    fn end(mut self) {
        self.park();
        self.rig.shut_down();
        assert_eq!(self.rig.remote.live(), 0);
        for slot in self.slots.iter().flatten() {
            for bell in slot.waits.iter().flatten() {
                assert_eq!(bell.rings(), 1, "who waits at the end is told");
            }
        }
    }
}

impl Slot {
    fn new() -> Slot {
        Slot {
            line: Line::new(),
            waits: [None, None],
            has_moved: [false, false],
            sent: 0,
            read: 0,
            is_finished: false,
            is_full: false,
        }
    }

    fn send(&mut self, bytes: usize) {
        if self.is_finished {
            return;
        }
        let bytes: Vec<u8> = (self.sent..self.sent + bytes).map(|n| n as u8).collect();
        (&self.line.far)
            .write_all(&bytes)
            .expect("the line has room");
        self.sent += bytes.len();
        self.has_moved[0] = true;
    }

    fn finish(&mut self) {
        self.line
            .far
            .shutdown(Shutdown::Write)
            .expect("a connected pair");
        self.is_finished = true;
        self.has_moved[0] = true;
    }

    fn drain(&mut self) {
        while (&self.line.far).read(&mut [0; 65_536]).is_ok() {}
        self.is_full = false;
        self.has_moved[1] = true;
    }

    fn read(&mut self, rig: &Rig) {
        let mut buf = [0; 32];
        loop {
            match self.attempt(rig, Direction::Read, |mut near| near.read(&mut buf)) {
                Attempt::Done(0) => {
                    assert!(self.is_finished && self.read == self.sent, "an early end");
                    return;
                }
                Attempt::Done(read) => {
                    for byte in &buf[..read] {
                        assert_eq!(*byte, self.read as u8, "another line's byte");
                        self.read += 1;
                    }
                }
                Attempt::Waits { has_blocked } => {
                    assert!(!has_blocked || self.read == self.sent, "bytes are lost");
                    return;
                }
            }
        }
    }

    fn fill(&mut self, rig: &Rig) {
        loop {
            let attempt = self.attempt(rig, Direction::Write, |mut near| near.write(&[7; 16_384]));
            if let Attempt::Waits { has_blocked } = attempt {
                self.is_full |= has_blocked;
                return;
            }
        }
    }

    /// One attempt, as a task makes it.
    fn attempt(
        &mut self,
        rig: &Rig,
        direction: Direction,
        mut f: impl FnMut(&UnixStream) -> io::Result<usize>,
    ) -> Attempt {
        let source = &self.line.source;
        let mut has_blocked = false;
        loop {
            let event = source.event(direction.mask());
            if event.ready.is_empty() {
                let bell = Bell::new();
                assert!(bell.wait(source, direction).is_pending());
                self.waits[direction as usize] = Some(bell);
                return Attempt::Waits { has_blocked };
            }
            match f(self.line.near()) {
                Ok(done) => return Attempt::Done(done),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    has_blocked = true;
                    if source.clear(event, direction) {
                        source
                            .arm(|| Arc::clone(&rig.remote))
                            .expect("a socket can be watched");
                        self.has_moved = [true, true];
                    }
                }
                Err(error) => panic!("{direction:?}: {error}"),
            }
        }
    }

    /// After the driver settled: whoever waits for what is there was told, and
    /// nobody was told for nothing.
    fn check(&mut self, rig: &mut Rig, direction: Direction) {
        let is_there = match direction {
            Direction::Read => self.read < self.sent || self.is_finished,
            Direction::Write => !self.is_full,
        };
        let has_moved = std::mem::take(&mut self.has_moved[direction as usize]);
        let Some(bell) = &self.waits[direction as usize] else {
            return;
        };
        if is_there {
            rig.park_until("who waits is told", || bell.rings() > 0);
        }
        assert!(
            bell.rings() == 0 || is_there || has_moved,
            "told of nothing: {direction:?}"
        );
        if bell.rings() > 0 {
            self.waits[direction as usize] = None;
        }
        let ready = self.line.source.event(Ready::ALL).ready;
        assert!(
            !ready.is_read_closed() || self.is_finished,
            "another line's end"
        );
        assert!(!ready.is_write_closed(), "another line's end");
    }
}

/// Whether the peer has seen the end, after all that was written.
fn has_ended(line: &Line) -> bool {
    loop {
        match (&line.far).read(&mut [0; 65_536]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}
