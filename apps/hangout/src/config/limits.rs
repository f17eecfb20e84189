//! Every bound of the program, and the flag that sets it.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The bounds, each set by the flag in [`KNOBS`] that points to it.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) message_chars: usize,
    pub(crate) name_chars: usize,
    pub(crate) room_chars: usize,
    pub(crate) frame_bytes: usize,
    pub(crate) rooms: usize,
    pub(crate) joined: usize,
    pub(crate) connections: usize,
    pub(crate) rate: usize,
    pub(crate) burst: usize,
    pub(crate) queue: usize,
    pub(crate) page: usize,
    pub(crate) hello_secs: usize,
    pub(crate) ping_secs: usize,
    pub(crate) drain_secs: usize,
    pub(crate) read_secs: usize,
    pub(crate) write_secs: usize,
    pub(crate) idle_secs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_chars: 4_000,
            name_chars: 32,
            room_chars: 40,
            frame_bytes: 65_536,
            rooms: 1_000,
            joined: 32,
            connections: 10_000,
            rate: 20,
            burst: 60,
            queue: 512,
            page: 100,
            hello_secs: 10,
            ping_secs: 30,
            drain_secs: 5,
            read_secs: 10,
            write_secs: 30,
            idle_secs: 75,
        }
    }
}

impl Limits {
    pub(crate) fn hello(&self) -> Duration {
        Duration::from_secs(self.hello_secs as u64)
    }

    /// The pause between pings, or `None` when pings are turned off.
    pub(crate) fn ping(&self) -> Option<Duration> {
        (self.ping_secs > 0).then(|| Duration::from_secs(self.ping_secs as u64))
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_secs as u64)
    }

    /// How long a client may take nothing of what it is sent.
    pub(crate) fn write(&self) -> Duration {
        Duration::from_secs(self.write_secs as u64)
    }

    /// The largest frame that a message of the longest allowed text can need: JSON may spend
    /// twelve bytes on one character (a surrogate pair of `\uXXXX` escapes), and the rest of the
    /// frame is room name, nonce and punctuation.
    pub(super) fn frame_bytes_needed(&self) -> usize {
        12 * (self.message_chars + self.room_chars) + 512
    }
}

/// One limit: its flag, what it counts, its bounds and where it is kept.
pub(super) struct Knob {
    pub(super) flag: &'static str,
    pub(super) unit: &'static str,
    pub(super) range: RangeInclusive<usize>,
    pub(super) help: &'static str,
    pub(super) field: fn(&mut Limits) -> &mut usize,
}

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        flag: "max-message-chars",
        unit: "N",
        range: 1..=1_000_000,
        help: "longest message, in characters",
        field: |limits| &mut limits.message_chars,
    },
    Knob {
        flag: "max-name-chars",
        unit: "N",
        range: 1..=200,
        help: "longest name of a person",
        field: |limits| &mut limits.name_chars,
    },
    Knob {
        flag: "max-room-chars",
        unit: "N",
        range: 1..=200,
        help: "longest name of a room",
        field: |limits| &mut limits.room_chars,
    },
    Knob {
        flag: "max-frame-bytes",
        unit: "N",
        range: 1_024..=64 << 20,
        help: "largest WebSocket frame or HTTP body",
        field: |limits| &mut limits.frame_bytes,
    },
    Knob {
        flag: "max-rooms",
        unit: "N",
        range: 1..=1_000_000,
        help: "rooms in the database",
        field: |limits| &mut limits.rooms,
    },
    Knob {
        flag: "max-joined",
        unit: "N",
        range: 1..=10_000,
        help: "rooms that one connection is in",
        field: |limits| &mut limits.joined,
    },
    Knob {
        flag: "max-connections",
        unit: "N",
        range: 1..=1_000_000,
        help: "connections at once, whatever they are doing; one more\ngets a 503",
        field: |limits| &mut limits.connections,
    },
    Knob {
        flag: "rate",
        unit: "N",
        range: 1..=1_000_000,
        help: "frames a second from one connection, on average",
        field: |limits| &mut limits.rate,
    },
    Knob {
        flag: "burst",
        unit: "N",
        range: 1..=1_000_000,
        help: "frames that it may send at once after a pause",
        field: |limits| &mut limits.burst,
    },
    Knob {
        flag: "queue",
        unit: "N",
        range: 4..=1_000_000,
        help: "events waiting for a slow reader before it is told\nand dropped",
        field: |limits| &mut limits.queue,
    },
    Knob {
        flag: "page-size",
        unit: "N",
        range: 1..=10_000,
        help: "messages in one page of history",
        field: |limits| &mut limits.page,
    },
    Knob {
        flag: "hello-timeout",
        unit: "SECS",
        range: 1..=3_600,
        help: "time for a new connection to say its name",
        field: |limits| &mut limits.hello_secs,
    },
    Knob {
        flag: "ping",
        unit: "SECS",
        range: 0..=86_400,
        help: "pause between pings; a connection silent for two\nof them is dropped; 0 turns pings off",
        field: |limits| &mut limits.ping_secs,
    },
    Knob {
        flag: "drain",
        unit: "SECS",
        range: 0..=3_600,
        help: "time for open connections to end at a stop",
        field: |limits| &mut limits.drain_secs,
    },
    Knob {
        flag: "read-timeout",
        unit: "SECS",
        range: 1..=86_400,
        help: "time for the head of a request, and again for its body",
        field: |limits| &mut limits.read_secs,
    },
    Knob {
        flag: "write-timeout",
        unit: "SECS",
        range: 1..=86_400,
        help: "time that a client may read nothing of what it is sent",
        field: |limits| &mut limits.write_secs,
    },
    Knob {
        flag: "idle-timeout",
        unit: "SECS",
        range: 1..=86_400,
        help: "time that a connection may be open without a request;\nWebSockets have --ping instead",
        field: |limits| &mut limits.idle_secs,
    },
];
