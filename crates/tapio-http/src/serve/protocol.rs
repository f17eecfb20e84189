//! Telling HTTP/2 from HTTP/1 by the first bytes.

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

use tapio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::report::Protocol;
use crate::serve::stream::Stream;

/// What a client that speaks HTTP/2 sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// As much as is read at a time. Most first requests fit, so that telling costs
/// no system call more.
const FIRST_READ_BYTES: usize = 4096;

/// Reads until the protocol is clear, or the end, which is `None`.
///
/// `matched` counts the bytes that have come and look like HTTP/2: they need
/// not be kept, since they are the beginning of the preface. All that was read
/// is put back once the protocol is clear.
pub(super) fn poll_protocol<T>(
    cx: &mut Context<'_>,
    stream: &mut Stream<T>,
    matched: &mut usize,
) -> Poll<io::Result<Option<Protocol>>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut bytes = [MaybeUninit::uninit(); FIRST_READ_BYTES];
        let mut buf = ReadBuf::uninit(&mut bytes);
        ready!(stream.poll_ahead(cx, &mut buf))?;
        let new = buf.filled();
        if new.is_empty() && *matched == 0 {
            return Poll::Ready(Ok(None));
        }
        let rest = &PREFACE[*matched..];
        let compared = new.len().min(rest.len());
        let is_preface = new[..compared] == rest[..compared] && !new.is_empty();
        if is_preface && compared < rest.len() {
            *matched += compared;
            continue;
        }
        stream.put_back(&PREFACE[..*matched], new);
        let protocol = if is_preface {
            Protocol::Http2
        } else {
            Protocol::Http1
        };
        return Poll::Ready(Ok(Some(protocol)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::Waker;

    use hyper::rt::Read;
    use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};

    use super::*;
    use crate::serve::registry::Registry;
    use crate::serve::report::Peer;

    /// A stream that gives out one piece per read, and nothing in between.
    struct Pieces {
        pieces: VecDeque<Vec<u8>>,
        is_ready: bool,
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.is_ready = !self.is_ready;
            if !self.is_ready {
                return Poll::Pending;
            }
            if let Some(mut piece) = self.pieces.pop_front() {
                let later = piece.split_off(piece.len().min(buf.remaining()));
                buf.put_slice(&piece);
                if !later.is_empty() {
                    self.pieces.push_front(later);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Pieces {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(0))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn until_ready<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = poll(&mut cx) {
                return value;
            }
        }
    }

    /// Tells the protocol of some pieces, and reads them through the stream.
    fn tell(pieces: Vec<Vec<u8>>) -> (Option<Protocol>, Vec<u8>) {
        let io = Pieces {
            pieces: pieces.into(),
            is_ready: false,
        };
        let registry: Arc<Registry> = Arc::default();
        let mut stream = Stream::new(io, registry.open(Peer::Unnamed, &Arc::default()), |_| None);
        let mut matched = 0;
        let told = until_ready(|cx| poll_protocol(cx, &mut stream, &mut matched)).unwrap();
        let mut received = Vec::new();
        loop {
            // An odd size, so that what is put back is given out in parts.
            let mut bytes = [0; 7];
            let mut buf = hyper::rt::ReadBuf::new(&mut bytes);
            until_ready(|cx| Pin::new(&mut stream).poll_read(cx, buf.unfilled())).unwrap();
            if buf.filled().is_empty() {
                return (told, received);
            }
            received.extend_from_slice(buf.filled());
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_however_it_comes(
            begin in prop_oneof![
                (0..=PREFACE.len()).prop_map(|length| PREFACE[..length].to_vec()),
                any::<Vec<u8>>(),
            ],
            end in prop::collection::vec(any::<u8>(), 0..10_000),
            cuts in prop::collection::vec(1..200_usize, 0..40),
        ) {
            let sent = [begin, end].concat();
            let mut rest = sent.as_slice();
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, later) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece.to_vec());
                rest = later;
            }
            pieces.push(rest.to_vec());
            pieces.retain(|piece| !piece.is_empty());

            let (told, received) = tell(pieces);
            let expected = match sent.as_slice() {
                [] => None,
                sent if sent.starts_with(PREFACE) => Some(Protocol::Http2),
                _ => Some(Protocol::Http1),
            };
            assert_eq!(told, expected);
            assert!(received == sent);
        }
    }
}
