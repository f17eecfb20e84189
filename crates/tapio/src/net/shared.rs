//! What several kinds of socket have word for word, written once.
//!
//! Each macro adds methods and traits to a type whose field `io` is a
//! standard socket in its [`Watched`](crate::watched::Watched) or
//! [`Fresh`](crate::net::fresh::Fresh) wrapper. The methods are
//! tokio's; the halves of streams are in `net/shared_halves.rs`.

/// What every socket has: the way to and from the standard library, its
/// descriptor, and its debug form.
macro_rules! socket {
    ($Socket:ident, $std:ty) => {
        impl $Socket {
            /// Takes over a socket of the standard library.
            ///
            /// It must be nonblocking already
            /// (`set_nonblocking(true)`), which this function does not do for
            /// the caller.
            ///
            /// # Errors
            /// What the kernel answers when asked for the socket's flags.
            ///
            /// # Panics
            /// Outside a runtime with I/O enabled. With debug assertions, also
            /// if the socket blocks; without them such a socket is made
            /// nonblocking, since it would stop a whole worker.
            #[track_caller]
            pub fn from_std(socket: $std) -> io::Result<$Socket> {
                sys::require_nonblocking(&socket)?;
                $Socket::watch(socket)
            }

            /// Gives the socket up to the standard library.
            ///
            /// It stays nonblocking; `set_nonblocking(false)` changes that.
            ///
            /// # Errors
            /// None at present.
            pub fn into_std(self) -> io::Result<$std> {
                Ok(self.io.into_inner())
            }
        }

        impl TryFrom<$std> for $Socket {
            type Error = io::Error;

            /// The same as `from_std`.
            fn try_from(socket: $std) -> io::Result<$Socket> {
                $Socket::from_std(socket)
            }
        }

        // A socket has no state of its own that a panic could leave halfway.
        impl std::panic::UnwindSafe for $Socket {}
        impl std::panic::RefUnwindSafe for $Socket {}

        impl std::fmt::Debug for $Socket {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.io.get().fmt(f)
            }
        }

        impl std::os::fd::AsFd for $Socket {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.io.get().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $Socket {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.io.get().as_raw_fd()
            }
        }
    };
}

/// A socket that is watched only once it must wait, and may be ready for
/// something from its birth on.
///
/// `$watch` is how: `new` is the driver's fastest way, `unheld` the one that
/// frees the socket's address the moment it is closed or the process dies.
macro_rules! fresh {
    ($Socket:ident, $std:ty, $watch:ident) => {
        impl $Socket {
            #[track_caller]
            pub(in crate::net) fn watch(socket: $std) -> io::Result<$Socket> {
                $Socket::watch_ready(socket, Ready::EMPTY)
            }

            /// Watches a socket that is taken to be ready for `early`.
            #[track_caller]
            pub(in crate::net) fn watch_ready(socket: $std, early: Ready) -> io::Result<$Socket> {
                let io = Fresh::new(Watched::$watch(socket)?, early);
                Ok($Socket { io })
            }
        }
    };
}

/// Waiting for readiness, and operations of the caller's own.
macro_rules! readiness {
    ($Socket:ident) => {
        impl $Socket {
            /// Waits until the socket is ready for any of `interest`, and says
            /// for what.
            ///
            /// The answer may be wrong by the time it is used: follow it with a
            /// `try_` method, and wait again when that would block.
            ///
            /// # Errors
            /// If the runtime has been shut down, or cannot watch the socket.
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing: readiness that was not used
            /// is still there for the next caller.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.io.ready(interest).await
            }

            /// Waits until something can be read: data, the end of the stream,
            /// or an error.
            ///
            /// # Errors
            /// As for [`ready`](Self::ready).
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn readable(&self) -> io::Result<()> {
                self.ready(Interest::READABLE).await?;
                Ok(())
            }

            /// Waits until something can be written, if only to meet an error.
            ///
            /// # Errors
            /// As for [`ready`](Self::ready).
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn writable(&self) -> io::Result<()> {
                self.ready(Interest::WRITABLE).await?;
                Ok(())
            }

            /// Makes a nonblocking call of the caller's own on this socket, if
            /// it is ready for `interest`.
            ///
            /// When `call` would block, the socket counts as not ready until
            /// the driver reports anew. So `call` must answer
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) only if this socket's
            /// own operation did, for this interest. It should not use the
            /// methods of this type, which do the same bookkeeping themselves.
            ///
            /// # Errors
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the socket is not
            /// ready (`call` is not made then); otherwise what `call` answers.
            pub fn try_io<R>(
                &self,
                interest: Interest,
                call: impl FnOnce() -> io::Result<R>,
            ) -> io::Result<R> {
                self.io.try_io(interest, call)
            }

            /// Makes a nonblocking call of the caller's own until it no longer
            /// would block, waiting for `interest` in between.
            ///
            /// The same holds for `call` as for [`try_io`](Self::try_io).
            ///
            /// # Errors
            /// What `call` answers, and what [`ready`](Self::ready) does.
            ///
            /// # Cancel safety
            /// `call` runs only when polled and is never interrupted: if the
            /// future is dropped, the last `call` would have blocked, and so
            /// did nothing.
            pub async fn async_io<R>(
                &self,
                interest: Interest,
                mut call: impl FnMut() -> io::Result<R>,
            ) -> io::Result<R> {
                self.io.async_io(interest, |_| call()).await
            }

            /// Takes the error that is pending on the socket (`SO_ERROR`), if
            /// there is one.
            ///
            /// # Errors
            /// What the kernel answers to the question itself.
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.io.get().take_error()
            }
        }
    };
}

/// A stream of bytes: reading, writing, and its traits.
macro_rules! stream {
    ($Stream:ident) => {
        impl $Stream {
            /// Waits, in the shape of a poll function, until something can be
            /// read. Of several tasks that call this or read from the stream,
            /// the last one is woken.
            ///
            /// # Errors
            /// As for [`ready`](Self::ready).
            pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.io.poll_ready(cx, Direction::Read)
            }

            /// Waits, in the shape of a poll function, until something can be
            /// written. Of several tasks that call this or write to the stream,
            /// the last one is woken.
            ///
            /// # Errors
            /// As for [`ready`](Self::ready).
            pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.io.poll_ready(cx, Direction::Write)
            }

            /// Reads what is there, without waiting. Zero is the end of the
            /// stream, if `buf` has room.
            ///
            /// # Errors
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there;
            /// what the kernel answers.
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.io
                    .try_io(Interest::READABLE, || self.io.get().read(buf))
            }

            /// Reads what is there into several buffers in turn, without
            /// waiting.
            ///
            /// # Errors
            /// As for [`try_read`](Self::try_read).
            pub fn try_read_vectored(&self, bufs: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
                self.io
                    .try_io(Interest::READABLE, || self.io.get().read_vectored(bufs))
            }

            /// Reads what is there into the spare room of `buf`, without
            /// waiting.
            ///
            /// # Errors
            /// As for [`try_read`](Self::try_read).
            pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                self.io
                    .try_io(Interest::READABLE, || fill::recv_buf(self.io.get(), buf))
            }

            /// Writes what there is room for, without waiting.
            ///
            /// # Errors
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is no room;
            /// what the kernel answers.
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.io
                    .try_io(Interest::WRITABLE, || self.io.get().write(buf))
            }

            /// Writes from several buffers in turn what there is room for,
            /// without waiting.
            ///
            /// # Errors
            /// As for [`try_write`](Self::try_write).
            pub fn try_write_vectored(&self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
                self.io.try_io(Interest::WRITABLE, || {
                    sys::send_vectored(self.io.get(), bufs)
                })
            }

            /// Lends the stream out as a reading and a writing half, which one
            /// task may use at the same time. Costs nothing.
            pub fn split<'a>(&'a mut self) -> (ReadHalf<'a>, WriteHalf<'a>) {
                split(self)
            }

            /// Splits the stream into halves that may go to different tasks.
            ///
            /// Dropping the writing half shuts the stream down for writing; see
            /// [`OwnedWriteHalf::forget`]. Costs one allocation.
            pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
                into_split(self)
            }

            pub(in crate::net) fn poll_read_shared(
                &self,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let room = buf.remaining();
                let receive = |socket: &_| fill::recv(socket, buf, RecvFlags::empty());
                self.io.poll_read_some(cx, room, receive).map_ok(drop)
            }

            pub(in crate::net) fn poll_write_shared(
                &self,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.io
                    .poll_write_some(cx, buf.len(), |mut socket| socket.write(buf))
            }

            pub(in crate::net) fn poll_write_vectored_shared(
                &self,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let asked = bufs.iter().map(|buf| buf.len()).sum();
                let send = |socket: &_| sys::send_vectored(socket, bufs);
                self.io.poll_write_some(cx, asked, send)
            }

            pub(in crate::net) fn shut_down_write(&self) -> io::Result<()> {
                sys::shut_down_write(self.io.get())
            }
        }

        impl AsyncRead for $Stream {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.poll_read_shared(cx, buf)
            }
        }

        impl AsyncWrite for $Stream {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.poll_write_shared(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.poll_write_vectored_shared(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            /// Nothing is kept back: what was written is the kernel's.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.shut_down_write())
            }
        }

        impl AsRef<Self> for $Stream {
            fn as_ref(&self) -> &Self {
                self
            }
        }
    };
}
