//! Receiving straight into memory that nobody has initialised.
//!
//! The kernel writes into the caller's buffer, and what it wrote counts as
//! initialised afterwards. The functions here are all of the unsafe code
//! that this takes; whoever calls them needs none.

#![expect(
    unsafe_code,
    reason = "says which part of a buffer the kernel has filled"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use bytes::BufMut;
use rustix::net::RecvFlags;
use socket2::{SockAddr, SockRef};

use crate::io::ReadBuf;

/// Receives into the unfilled part of `buf`.
pub(crate) fn recv(fd: impl AsFd, buf: &mut ReadBuf<'_>, flags: RecvFlags) -> io::Result<usize> {
    // SAFETY: `received` leaves what was initialised so; the buffer is
    // exclusively ours through `buf`.
    let got = received(fd.as_fd(), unsafe { buf.unfilled_mut() }, flags)?;
    // SAFETY: the kernel has written the first `got` bytes.
    unsafe { buf.assume_init(got) };
    buf.advance(got);
    Ok(got)
}

/// Receives into the unfilled part of `buf`, with the sender's address.
pub(crate) fn recv_from(
    fd: impl AsFd,
    buf: &mut ReadBuf<'_>,
    flags: RecvFlags,
) -> io::Result<(usize, SockAddr)> {
    // SAFETY: as in `recv`.
    let (got, sender) = received_from(fd.as_fd(), unsafe { buf.unfilled_mut() }, flags)?;
    // SAFETY: the kernel has written the first `got` bytes.
    unsafe { buf.assume_init(got) };
    buf.advance(got);
    Ok((got, sender))
}

/// Receives into the spare room of `buf`.
pub(crate) fn recv_buf(fd: impl AsFd, buf: &mut impl BufMut) -> io::Result<usize> {
    // SAFETY: `received` leaves what was initialised so; the buffer is
    // exclusively ours through `buf`.
    let space = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let got = received(fd.as_fd(), space, RecvFlags::empty())?;
    // SAFETY: the kernel has written the first `got` bytes of the chunk.
    unsafe { buf.advance_mut(got) };
    Ok(got)
}

/// Receives into the spare room of `buf`, with the sender's address.
pub(crate) fn recv_buf_from(fd: impl AsFd, buf: &mut impl BufMut) -> io::Result<(usize, SockAddr)> {
    // SAFETY: as in `recv_buf`.
    let space = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let (got, sender) = received_from(fd.as_fd(), space, RecvFlags::empty())?;
    // SAFETY: the kernel has written the first `got` bytes of the chunk.
    unsafe { buf.advance_mut(got) };
    Ok((got, sender))
}

/// Reads from a pipe into the unfilled part of `buf`.
pub(crate) fn read(fd: impl AsFd, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
    // SAFETY: as in `recv`; `read` writes initialised bytes only.
    let (filled, _) = rustix::io::read(fd, unsafe { buf.unfilled_mut() })?;
    let got = filled.len();
    // SAFETY: the kernel has written the first `got` bytes.
    unsafe { buf.assume_init(got) };
    buf.advance(got);
    Ok(got)
}

/// Reads from a pipe into the spare room of `buf`.
pub(crate) fn read_buf(fd: impl AsFd, buf: &mut impl BufMut) -> io::Result<usize> {
    // SAFETY: as in `recv_buf`; `read` writes initialised bytes only.
    let space = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let (filled, _) = rustix::io::read(fd, space)?;
    let got = filled.len();
    // SAFETY: the kernel has written the first `got` bytes of the chunk.
    unsafe { buf.advance_mut(got) };
    Ok(got)
}

/// How many bytes from the start of `space` on the kernel has written.
fn received(
    fd: BorrowedFd<'_>,
    space: &mut [MaybeUninit<u8>],
    flags: RecvFlags,
) -> io::Result<usize> {
    let ((filled, _), _) = rustix::net::recv(fd, space, flags)?;
    Ok(filled.len())
}

fn received_from(
    fd: BorrowedFd<'_>,
    space: &mut [MaybeUninit<u8>],
    flags: RecvFlags,
) -> io::Result<(usize, SockAddr)> {
    // Not by `rustix`, which panics over the longest possible Unix path and
    // takes an unbound sender for one with an empty name.
    SockRef::from(&fd).recv_from_with_flags(space, flags.bits().cast_signed())
}
