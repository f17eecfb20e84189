//! Sending and receiving datagrams, the same for UDP and Unix.

/// `$Addr` is the type of addresses, and `$sender` makes one from what the
/// kernel says about a datagram's sender.
macro_rules! datagram {
    ($Socket:ident, $Addr:ty, $sender:path) => {
        impl $Socket {
            /// Sends a datagram to the peer that the socket is connected to.
            ///
            /// Waits for room in the socket's send buffer.
            ///
            /// # Errors
            /// What the kernel answers: no peer, a datagram too long, or an
            /// error that an earlier datagram met on its way.
            ///
            /// # Cancel safety
            /// If the future is dropped before it is ready, nothing was sent.
            ///
            /// # Cost
            /// One system call when there is room.
            pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
                self.io
                    .async_io(Interest::WRITABLE, |socket| socket.send(buf))
                    .await
            }

            /// [`send`](Self::send) in the shape of a poll function. Of several
            /// tasks that poll for sending, the last one is woken.
            ///
            /// # Errors
            /// As for [`send`](Self::send).
            pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.io
                    .poll_io(cx, Direction::Write, |socket| socket.send(buf))
            }

            /// Sends a datagram to the connected peer, without waiting.
            ///
            /// # Errors
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is no room;
            /// otherwise as for [`send`](Self::send).
            pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
                self.io
                    .try_io(Interest::WRITABLE, || self.io.get().send(buf))
            }

            /// Waits, in the shape of a poll function, until something can be
            /// sent.
            ///
            /// # Errors
            /// As for [`ready`](Self::ready).
            pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.io.poll_ready(cx, Direction::Write).map_ok(drop)
            }

            /// Receives a datagram. What does not fit into `buf` is lost.
            ///
            /// Waits until one is there.
            ///
            /// # Errors
            /// What the kernel answers; on a connected socket also the error
            /// that an earlier datagram met, `ConnectionRefused` for example.
            ///
            /// # Cancel safety
            /// If the future is dropped before it is ready, nothing was
            /// received.
            ///
            /// # Cost
            /// One system call when a datagram is there.
            pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.io
                    .async_io(RECEIVABLE, |socket| socket.recv(buf))
                    .await
            }

            /// [`recv`](Self::recv) in the shape of a poll function. Of several
            /// tasks that poll for receiving, the last one is woken.
            ///
            /// # Errors
            /// As for [`recv`](Self::recv).
            pub fn poll_recv(
                &self,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let received = self.io.poll_io(cx, Direction::Read, |socket| {
                    fill::recv(socket, buf, RecvFlags::empty())
                });
                received.map_ok(drop)
            }

            /// Receives a datagram that is there already.
            ///
            /// # Errors
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is none;
            /// otherwise as for [`recv`](Self::recv).
            pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.io.try_io(RECEIVABLE, || self.io.get().recv(buf))
            }

            /// Receives a datagram into the spare room of `buf`. What does not
            /// fit is lost.
            ///
            /// # Errors
            /// As for [`recv`](Self::recv).
            ///
            /// # Cancel safety
            /// If the future is dropped before it is ready, nothing was
            /// received.
            pub async fn recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                self.io
                    .async_io(RECEIVABLE, |socket| fill::recv_buf(socket, buf))
                    .await
            }

            /// Receives a datagram that is there already into the spare room of
            /// `buf`.
            ///
            /// # Errors
            /// As for [`try_recv`](Self::try_recv).
            pub fn try_recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                self.io
                    .try_io(RECEIVABLE, || fill::recv_buf(self.io.get(), buf))
            }

            /// Waits, in the shape of a poll function, until something can be
            /// received.
            ///
            /// # Errors
            /// As for [`ready`](Self::ready).
            pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.io.poll_ready(cx, Direction::Read).map_ok(drop)
            }

            /// Receives a datagram and says who sent it. What does not fit into
            /// `buf` is lost.
            ///
            /// # Errors
            /// As for [`recv`](Self::recv).
            ///
            /// # Cancel safety
            /// If the future is dropped before it is ready, nothing was
            /// received.
            ///
            /// # Cost
            /// One system call when a datagram is there.
            pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $Addr)> {
                let receive = self.io.async_io(RECEIVABLE, |socket| socket.recv_from(buf));
                let (got, sender) = receive.await?;
                Ok((got, sender.into()))
            }

            /// [`recv_from`](Self::recv_from) in the shape of a poll function.
            /// Of several tasks that poll for receiving, the last one is woken.
            ///
            /// # Errors
            /// As for [`recv`](Self::recv).
            pub fn poll_recv_from(
                &self,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<$Addr>> {
                self.io.poll_io(cx, Direction::Read, |socket| {
                    let (_, sender) = fill::recv_from(socket, buf, RecvFlags::empty())?;
                    $sender(&sender)
                })
            }

            /// Receives a datagram that is there already, and says who sent it.
            ///
            /// # Errors
            /// As for [`try_recv`](Self::try_recv).
            pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $Addr)> {
                let receive = || self.io.get().recv_from(buf);
                let (got, sender) = self.io.try_io(RECEIVABLE, receive)?;
                Ok((got, sender.into()))
            }

            /// Receives a datagram into the spare room of `buf`, and says who
            /// sent it. What does not fit is lost.
            ///
            /// # Errors
            /// As for [`recv`](Self::recv).
            ///
            /// # Cancel safety
            /// If the future is dropped before it is ready, nothing was
            /// received.
            pub async fn recv_buf_from<B: BufMut>(
                &self,
                buf: &mut B,
            ) -> io::Result<(usize, $Addr)> {
                self.io
                    .async_io(RECEIVABLE, |socket| recv_buf_from(socket, buf))
                    .await
            }

            /// Receives a datagram that is there already into the spare room of
            /// `buf`, and says who sent it.
            ///
            /// # Errors
            /// As for [`try_recv`](Self::try_recv).
            pub fn try_recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, $Addr)> {
                self.io
                    .try_io(RECEIVABLE, || recv_buf_from(self.io.get(), buf))
            }
        }

        /// An error that a datagram met on its way is something to receive.
        const RECEIVABLE: Interest = Interest::READABLE.add(Interest::ERROR);

        fn recv_buf_from(socket: impl AsFd, buf: &mut impl BufMut) -> io::Result<(usize, $Addr)> {
            let (got, sender) = fill::recv_buf_from(socket, buf)?;
            Ok((got, $sender(&sender)?))
        }
    };
}
