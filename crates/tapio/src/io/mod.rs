//! Reading and writing without blocking: tokio's traits and helpers, and what
//! descriptors are ready for.
//!
//! The traits are tokio's own, re-exported: a [`TcpStream`](crate::net::TcpStream)
//! of this crate is an [`AsyncRead`] and an [`AsyncWrite`] for every library
//! that asks for tokio's, with no adapter between. Nothing of tokio's runtime
//! comes with them.
//!
//! - [`AsyncRead`], [`AsyncWrite`], [`AsyncBufRead`], [`AsyncSeek`] and their
//!   extension traits, whose methods are what one calls
//! - buffers ([`BufReader`], [`BufWriter`], [`BufStream`]), pipes in memory
//!   ([`duplex`], [`simplex`]), [`copy`] and its relatives, [`split()`] and
//!   [`join()`]
//! - [`Interest`] and [`Ready`]: what to wait for, and what a descriptor turned
//!   out to be ready for
//! - [`unix::AsyncFd`]: any pollable descriptor, watched by the runtime
//! - [`stdin`], [`stdout`], [`stderr`]

mod async_fd;
mod async_fd_guard;
mod async_fd_register;
mod copy;
mod offload;
mod standard;
pub mod unix;

#[doc(no_inline)]
pub use std::io::{Error, ErrorKind, Result, SeekFrom};

#[doc(inline)]
pub use tokio::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
#[doc(inline)]
pub use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
#[doc(inline)]
pub use tokio::io::{
    BufReader, BufStream, BufWriter, Chain, DuplexStream, Empty, Join, Lines, ReadHalf, Repeat,
    SimplexStream, Sink, Split, Take, WriteHalf,
};
#[doc(inline)]
pub use tokio::io::{duplex, empty, join, repeat, simplex, sink, split};

pub use tapio_driver::{Interest, Ready};

pub use self::copy::{copy, copy_bidirectional, copy_bidirectional_with_sizes, copy_buf};
pub use self::standard::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
