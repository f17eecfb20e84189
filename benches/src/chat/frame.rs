//! WebSocket frames, as far as a chat needs them.

use std::io;

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Payload lengths that say that two or eight bytes with the length follow.
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

/// A frame that has arrived whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) opcode: u8,
    pub(crate) payload: &'a [u8],
    /// Its length with its head.
    pub(crate) bytes: usize,
}

/// Appends a frame as a client sends it.
///
/// Clients have to mask what they send. The mask is zero, which leaves the payload as it is: it
/// protects browsers from pages, and there is neither here.
pub(crate) fn append(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(FINAL | opcode);
    match payload.len() {
        len @ 0..126 => out.push(MASKED | len as u8),
        len @ 126..0x1_0000 => {
            out.push(MASKED | LEN_16);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(MASKED | LEN_64);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// The frame at the beginning of `bytes`, or `None` if it has not arrived whole.
///
/// # Errors
/// What a server does not send: fragments, masks.
pub(crate) fn first(bytes: &[u8]) -> io::Result<Option<Frame<'_>>> {
    let [head, len, rest @ ..] = bytes else {
        return Ok(None);
    };
    if head & FINAL == 0 || len & MASKED != 0 {
        return Err(io::Error::other("a fragment, or a mask from a server"));
    }
    let (len, extra) = match *len {
        LEN_16 => (
            rest.first_chunk()
                .map(|len| u64::from(u16::from_be_bytes(*len))),
            2,
        ),
        LEN_64 => (rest.first_chunk().map(|len| u64::from_be_bytes(*len)), 8),
        len => (Some(u64::from(len)), 0),
    };
    let payload = len.and_then(|len| rest.get(extra..)?.get(..usize::try_from(len).ok()?));
    Ok(payload.map(|payload| Frame {
        opcode: head & 0x0f,
        payload,
        bytes: 2 + extra + payload.len(),
    }))
}

#[cfg(test)]
mod tests {
    use super::{MASKED, TEXT, append, first};

    /// What a server would send: the same without a mask.
    fn unmasked(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(&mut bytes, TEXT, payload);
        bytes[1] &= !MASKED;
        let mask = bytes.len() - payload.len() - 4;
        bytes.drain(mask..mask + 4);
        bytes
    }

    #[test]
    fn frames_of_every_length_come_whole_or_not_at_all() {
        for len in [0, 1, 125, 126, 0xffff, 0x1_0000] {
            let payload = vec![b'x'; len];
            let mut bytes = unmasked(&payload);
            let whole = bytes.len();
            for part in [0, 1, 2, 3, whole - 1] {
                if part < whole {
                    assert_eq!(first(&bytes[..part]).unwrap(), None, "{part} of {whole}");
                }
            }
            bytes.extend_from_slice(b"next");
            let frame = first(&bytes).unwrap().unwrap();
            assert_eq!(
                (frame.opcode, frame.payload, frame.bytes),
                (TEXT, &*payload, whole)
            );
        }
    }

    #[test]
    fn what_no_server_sends_is_refused() {
        assert!(first(&[TEXT, 0]).is_err());
        assert!(first(&[0x80 | TEXT, 0x80]).is_err());
    }
}
