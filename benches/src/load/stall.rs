//! The requests that block the server, and what the others see of it.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::{client::PATIENCE, engine::Engine, plan::Block};
use crate::{
    clock::now_ns,
    report::Figures,
    workloads::stall::{FRAME_BYTES, SPIN, blocked_between, blocking_frame},
};

/// Several blocking requests are to reach several workers. A runtime that reads
/// the first one alone may never read the second, so they are sent while a worker
/// is busy for this long, and are read together.
const PRELUDE: Duration = Duration::from_millis(2);
/// Load before and after the blocking, beyond its own time.
const CALM: Duration = Duration::from_millis(500);

/// The connections that ask the server to block.
pub(crate) struct Blockers {
    block: Block,
    streams: Vec<TcpStream>,
    prelude: TcpStream,
}

impl Blockers {
    pub(crate) fn connect(address: SocketAddr, block: Block) -> io::Result<Self> {
        let streams = (0..block.times).map(|_| TcpStream::connect(address));
        let streams = streams.collect::<io::Result<_>>()?;
        Ok(Self {
            block,
            streams,
            prelude: TcpStream::connect(address)?,
        })
    }

    /// Keeps the load up before, while and after the server is blocked, then
    /// waits for every answer. Recorded are the requests due while it was.
    pub(crate) fn drive(&mut self, engine: &mut Engine<'_>) -> io::Result<()> {
        engine.drive_for(CALM)?;
        if self.block.times > 1 {
            self.prelude.write_all(&blocking_frame(SPIN, PRELUDE))?;
            engine.drive_for(PRELUDE / 2)?;
        }
        let begin = now_ns();
        engine.window = begin..begin + self.block.time.as_nanos() as u64;
        for stream in &mut self.streams {
            stream.write_all(&blocking_frame(self.block.kind, self.block.time))?;
        }
        engine.drive_for(self.block.time + CALM)?;
        engine.drain()
    }

    /// What the other connections saw, and for how long how many were blocked.
    pub(crate) fn figures(&mut self, engine: &Engine<'_>) -> io::Result<Figures> {
        let mut spans = Vec::new();
        for stream in &mut self.streams {
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut answer = [0; FRAME_BYTES];
            stream.read_exact(&mut answer)?;
            spans.push(blocked_between(&answer));
        }
        let mut figures = engine.latencies();
        figures.set("due_while_blocked", engine.latency.total() as f64);
        figures.set("all_blocked_ms", overlap_ns(&spans) as f64 / 1e6);
        Ok(figures)
    }
}

/// For how long all of `spans` were under way at once.
pub(crate) fn overlap_ns(spans: &[(u64, u64)]) -> u64 {
    let begin = spans.iter().map(|span| span.0).max().unwrap_or_default();
    let end = spans.iter().map(|span| span.1).min().unwrap_or_default();
    end.saturating_sub(begin)
}

#[cfg(test)]
mod tests {
    use super::overlap_ns;

    #[test]
    fn overlap_of_spans() {
        assert_eq!(overlap_ns(&[(10, 30), (20, 40)]), 10);
        assert_eq!(overlap_ns(&[(10, 20), (30, 40)]), 0);
        assert_eq!(overlap_ns(&[(10, 25)]), 15);
        assert_eq!(overlap_ns(&[]), 0);
    }
}
