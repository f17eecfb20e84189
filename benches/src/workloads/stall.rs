//! Stall: an echo server in which some requests block their thread.
//!
//! A frame has [`FRAME_BYTES`] bytes. The first says what to do ([`ECHO`],
//! [`SLEEP`], [`SPIN`]), bytes 4 to 8 for how many milliseconds. The answer to a
//! blocking frame carries when it began and ended, in monotonic nanoseconds, so
//! that the load generator knows what was blocked and when.

use std::{
    hint::spin_loop,
    thread,
    time::{Duration, Instant},
};

use crate::{clock::now_ns, contract::Stream};

pub(crate) const FRAME_BYTES: usize = 64;
pub(crate) const ECHO: u8 = 0;
/// Block in a system call.
pub(crate) const SLEEP: u8 = 1;
/// Block in a loop.
pub(crate) const SPIN: u8 = 2;

/// Serves one connection until the peer closes it.
pub(crate) async fn connection<S: Stream>(mut stream: S) {
    let mut buf = vec![0; FRAME_BYTES];
    while let Ok(len) = stream.read(&mut buf).await {
        if len == FRAME_BYTES {
            obey(&mut buf);
        }
        if len == 0 || stream.write(&mut buf, len).await.is_err() {
            return;
        }
    }
}

/// A frame that blocks its thread for `time` in the way of `kind`.
pub(crate) fn blocking_frame(kind: u8, time: Duration) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    frame[0] = kind;
    frame[4..8].copy_from_slice(&(time.as_millis() as u32).to_le_bytes());
    frame
}

/// When the blocking that `answer` tells of began and ended.
pub(crate) fn blocked_between(answer: &[u8]) -> (u64, u64) {
    let number = |at: usize| {
        let bytes = answer[at..at + 8].try_into().unwrap_or_default();
        u64::from_le_bytes(bytes)
    };
    (number(8), number(16))
}

fn obey(frame: &mut [u8]) {
    let kind = frame[0];
    if kind == ECHO {
        return;
    }
    let ms = u32::from_le_bytes(frame[4..8].try_into().unwrap_or_default());
    let time = Duration::from_millis(u64::from(ms));
    let begin = now_ns();
    if kind == SLEEP {
        thread::sleep(time);
    } else {
        let until = Instant::now() + time;
        while Instant::now() < until {
            spin_loop();
        }
    }
    frame[8..16].copy_from_slice(&begin.to_le_bytes());
    frame[16..24].copy_from_slice(&now_ns().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ECHO, SLEEP, SPIN, blocked_between, blocking_frame, obey};

    #[test]
    fn blocks_for_as_long_as_it_says() {
        for kind in [SLEEP, SPIN] {
            let mut frame = blocking_frame(kind, Duration::from_millis(20));
            obey(&mut frame);
            let (begin, end) = blocked_between(&frame);
            assert!(end - begin >= 20_000_000, "{}", end - begin);
        }
    }

    #[test]
    fn leaves_an_ordinary_frame_alone() {
        let mut frame = [7; 64];
        frame[0] = ECHO;
        let before = frame;
        obey(&mut frame);
        assert_eq!(frame, before);
    }
}
