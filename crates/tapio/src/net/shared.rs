//! What several kinds of socket have word for word, written once.
//!
//! Each macro adds methods and traits to a type whose field `io` is a
//! standard socket in its [`Watched`](crate::watched::Watched) or
//! [`Fresh`](crate::net::fresh::Fresh) wrapper. The methods are
//! tokio's. What streams and datagram sockets have beside this is in the
//! `shared_` files next to this one.

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
