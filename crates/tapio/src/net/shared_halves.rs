//! The halves of a stream, the same for every kind.

/// The two pairs of halves of `$Stream`, whose addresses are `$Addr`.
///
/// The halves that borrow live in one task; the owned ones share the stream
/// through an `Arc`. The modules that use this import what it names.
macro_rules! halves {
    ($Stream:ident, $Addr:ty) => {
        /// The reading half of a stream, borrowed: see the stream's `split`.
        #[derive(Debug)]
        pub struct ReadHalf<'a>(&'a $Stream);

        /// The writing half of a stream, borrowed: see the stream's `split`.
        ///
        /// Dropping it does not shut the stream down.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(&'a $Stream);

        /// The reading half of a stream, owned: see the stream's `into_split`.
        #[derive(Debug)]
        pub struct OwnedReadHalf {
            stream: Arc<$Stream>,
        }

        /// The writing half of a stream, owned: see the stream's `into_split`.
        ///
        /// Dropping it shuts the stream down for writing, so that the peer
        /// reads the end of the stream, unless
        /// [`forget`](OwnedWriteHalf::forget) is called.
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            stream: Arc<$Stream>,
            shuts_down: bool,
        }

        /// The error for halves that do not belong together, which it gives
        /// back.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        impl fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the halves to be reunited come from different sockets")
            }
        }

        impl Error for ReuniteError {}

        pub(super) fn split(stream: &mut $Stream) -> (ReadHalf<'_>, WriteHalf<'_>) {
            (ReadHalf(stream), WriteHalf(stream))
        }

        pub(super) fn into_split(stream: $Stream) -> (OwnedReadHalf, OwnedWriteHalf) {
            let stream = Arc::new(stream);
            let read = OwnedReadHalf {
                stream: Arc::clone(&stream),
            };
            let write = OwnedWriteHalf {
                stream,
                shuts_down: true,
            };
            (read, write)
        }

        fn reunite(read: OwnedReadHalf, write: OwnedWriteHalf) -> Result<$Stream, ReuniteError> {
            if !Arc::ptr_eq(&read.stream, &write.stream) {
                return Err(ReuniteError(read, write));
            }
            write.forget();
            Ok(Arc::into_inner(read.stream).expect("a stream has one half of each kind"))
        }

        impl OwnedReadHalf {
            /// Puts the halves together again.
            ///
            /// # Errors
            /// If they come from different streams; both are given back.
            pub fn reunite(self, other: OwnedWriteHalf) -> Result<$Stream, ReuniteError> {
                reunite(self, other)
            }
        }

        impl OwnedWriteHalf {
            /// Puts the halves together again.
            ///
            /// # Errors
            /// If they come from different streams; both are given back.
            pub fn reunite(self, other: OwnedReadHalf) -> Result<$Stream, ReuniteError> {
                reunite(other, self)
            }

            /// Drops the half without shutting the stream down for writing.
            pub fn forget(mut self) {
                self.shuts_down = false;
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.shuts_down {
                    // Nobody is left to tell; a stream that cannot be shut
                    // down is broken, and the reading half will see that.
                    let _ = self.stream.shut_down_write();
                }
            }
        }

        impl AsRef<$Stream> for ReadHalf<'_> {
            fn as_ref(&self) -> &$Stream {
                self.0
            }
        }

        impl AsRef<$Stream> for WriteHalf<'_> {
            fn as_ref(&self) -> &$Stream {
                self.0
            }
        }

        impl AsRef<$Stream> for OwnedReadHalf {
            fn as_ref(&self) -> &$Stream {
                &self.stream
            }
        }

        impl AsRef<$Stream> for OwnedWriteHalf {
            fn as_ref(&self) -> &$Stream {
                &self.stream
            }
        }

        impl AsyncWrite for WriteHalf<'_> {
            halves!(@write);

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.0.shut_down_write())
            }
        }

        impl AsyncWrite for OwnedWriteHalf {
            halves!(@write);

            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                let outcome = self.stream.shut_down_write();
                // Once is enough.
                self.shuts_down &= outcome.is_err();
                Poll::Ready(outcome)
            }
        }

        halves!(@read ReadHalf<'_>, $Stream, $Addr);
        halves!(@read OwnedReadHalf, $Stream, $Addr);
        halves!(@ready WriteHalf<'_>, $Stream, $Addr);
        halves!(@ready OwnedWriteHalf, $Stream, $Addr);
        halves!(@writable WriteHalf<'_>, $Stream);
        halves!(@writable OwnedWriteHalf, $Stream);
    };

    // The methods of `AsyncWrite` that do not depend on how the half holds
    // its stream.
    (@write) => {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.as_ref().get_ref().as_ref().poll_write_shared(cx, buf)
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.as_ref().get_ref().as_ref().poll_write_vectored_shared(cx, bufs)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    };

    (@ready $Half:ty, $Stream:ident, $Addr:ty) => {
        impl $Half {
            /// Waits until the stream is ready for any of `interest`, and says
            /// for what. Both halves share the stream's readiness.
            ///
            /// # Errors
            #[doc = concat!("As for [`", stringify!($Stream), "::ready`].")]
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.as_ref().ready(interest).await
            }

            /// The address of the peer.
            ///
            /// # Errors
            /// What the kernel answers, `NotConnected` for example.
            pub fn peer_addr(&self) -> io::Result<$Addr> {
                self.as_ref().peer_addr()
            }

            /// The address of this end.
            ///
            /// # Errors
            /// What the kernel answers.
            pub fn local_addr(&self) -> io::Result<$Addr> {
                self.as_ref().local_addr()
            }
        }
    };

    (@read $Half:ty, $Stream:ident, $Addr:ty) => {
        halves!(@ready $Half, $Stream, $Addr);

        impl $Half {
            /// Waits until something can be read: data, the end of the stream,
            /// or an error.
            ///
            /// # Errors
            #[doc = concat!("As for [`", stringify!($Stream), "::ready`].")]
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn readable(&self) -> io::Result<()> {
                self.as_ref().readable().await
            }

            /// Reads what is there, without waiting.
            ///
            /// # Errors
            #[doc = concat!("As for [`", stringify!($Stream), "::try_read`].")]
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.as_ref().try_read(buf)
            }

            /// Reads what is there into several buffers in turn, without
            /// waiting.
            ///
            /// # Errors
            #[doc = concat!("As for [`", stringify!($Stream), "::try_read`].")]
            pub fn try_read_vectored(&self, bufs: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
                self.as_ref().try_read_vectored(bufs)
            }

            /// Reads what is there into the spare room of `buf`, without
            /// waiting.
            ///
            /// # Errors
            #[doc = concat!("As for [`", stringify!($Stream), "::try_read`].")]
            pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                self.as_ref().try_read_buf(buf)
            }
        }

        impl AsyncRead for $Half {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.as_ref().get_ref().as_ref().poll_read_shared(cx, buf)
            }
        }
    };

    (@writable $Half:ty, $Stream:ident) => {
        impl $Half {
            /// Waits until something can be written, if only to meet an error.
            ///
            /// # Errors
            #[doc = concat!("As for [`", stringify!($Stream), "::ready`].")]
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn writable(&self) -> io::Result<()> {
                self.as_ref().writable().await
            }

            /// Writes what there is room for, without waiting.
            ///
            /// # Errors
            #[doc = concat!("As for [`", stringify!($Stream), "::try_write`].")]
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.as_ref().try_write(buf)
            }

            /// Writes from several buffers in turn what there is room for,
            /// without waiting.
            ///
            /// # Errors
            #[doc = concat!("As for [`", stringify!($Stream), "::try_write`].")]
            pub fn try_write_vectored(&self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
                self.as_ref().try_write_vectored(bufs)
            }
        }
    };
}
