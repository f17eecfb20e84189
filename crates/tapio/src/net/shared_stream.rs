//! Reading and writing a stream, the same for TCP and Unix.

/// A stream of bytes: reading, writing, and its traits.
///
/// What a read that got less than it has room for means depends on the family.
/// TCP gave all it had (but for urgent data, which is accounted for). A Unix
/// socket also stops where descriptors were passed or the sender changed, with
/// more behind it, so only "would block" means that nothing is left.
macro_rules! stream {
    ($Stream:ident, $can_stop_short:literal) => {
        impl $Stream {
            /// Waits, in the shape of a poll function, until something can be
            /// read. Of several tasks that call this or read from the stream,
            /// the last one is woken.
            ///
            /// # Errors
            /// As for [`ready`](Self::ready).
            pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.io.poll_ready(cx, Direction::Read).map_ok(drop)
            }

            /// Waits, in the shape of a poll function, until something can be
            /// written. Of several tasks that call this or write to the stream,
            /// the last one is woken.
            ///
            /// # Errors
            /// As for [`ready`](Self::ready).
            pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.io.poll_ready(cx, Direction::Write).map_ok(drop)
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
                let bufs = sys::first_to_send(bufs);
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
                let received = if $can_stop_short {
                    self.io.poll_io(cx, Direction::Read, receive)
                } else {
                    self.io.poll_read_some(cx, room, receive)
                };
                received.map_ok(drop)
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
                let bufs = sys::first_to_send(bufs);
                let lengths = bufs.iter().map(|buf| buf.len());
                let asked = lengths.fold(0, usize::saturating_add);
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
