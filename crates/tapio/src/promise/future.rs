//! What is waited for.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::Resolver;
use crate::callback::{self, Origin};
use crate::compat;
use crate::context;

/// A promise, and what keeps it.
///
/// # Examples
/// ```
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let (resolver, promise) = tapio::promise();
/// std::thread::spawn(move || resolver.resolve("from afar"));
/// assert_eq!(promise.await?, "from afar");
/// # Ok::<_, tapio::promise::Broken>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn promise<T>() -> (Resolver<T>, Promise<T>) {
    let (sender, receiver) = oneshot::channel();
    let promise = Promise {
        receiver,
        made_at: Location::caller(),
    };
    (Resolver::new(sender), promise)
}

/// The answer of an API that takes a callback, as a promise.
///
/// `start` is called at once, with what the callback has to be given. If it
/// drops the resolver, now or when the API drops the callback, the promise is
/// [`Broken`].
///
/// # Examples
/// ```
/// # fn look_up(_: &str, then: impl FnOnce(u32) + Send + 'static) {
/// #     std::thread::spawn(move || then(7));
/// # }
/// # fn look_up_node(_: &str, then: impl FnOnce(Option<std::io::Error>, Option<u32>) + 'static) {
/// #     then(None, Some(7));
/// # }
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// use tapio::promise::from_callback;
///
/// let age = from_callback(|resolver| look_up("ada", resolver.into_callback())).await?;
/// assert_eq!(age, 7);
/// // One that calls with an error or a value, as Node's do:
/// let age = from_callback(|resolver| look_up_node("ada", resolver.into_node_callback())).await??;
/// assert_eq!(age, 7);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn from_callback<T>(start: impl FnOnce(Resolver<T>)) -> Promise<T> {
    let (resolver, promise) = promise();
    start(resolver);
    promise
}

/// A value that somebody will bring; a future.
///
/// It needs no runtime: any executor may await it, and any thread resolve it.
///
/// # Errors
/// [`Broken`] when the [`Resolver`] was dropped.
///
/// # Panics
/// When polled after it gave its value.
///
/// # Cancel safety
/// Waiting by reference (`&mut promise`) loses nothing when dropped. Dropping
/// the promise itself says that nobody wants the value.
#[must_use = "a promise that is dropped tells its resolver that nobody wants the value"]
pub struct Promise<T> {
    receiver: oneshot::Receiver<T>,
    made_at: &'static Location<'static>,
}

impl<T> Promise<T> {
    /// The value, if it is there.
    ///
    /// # Errors
    /// [`Broken`] when the resolver was dropped, or the value was taken before.
    pub fn try_take(&mut self) -> Option<Result<T, Broken>> {
        match self.receiver.try_recv() {
            Ok(value) => Some(Ok(value)),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(self.broken())),
        }
    }

    /// Calls `callback` with the value, or with [`Broken`].
    ///
    /// It is called once, on the thread that resolves the promise or drops the
    /// resolver; here and now if that has happened. What is said at
    /// [`JoinHandle::on_complete`](crate::task::JoinHandle::on_complete) of
    /// callbacks that block, hold locks or panic holds here too.
    ///
    /// # Cost
    /// One allocation.
    ///
    /// # Examples
    /// ```
    /// let (resolver, promise) = tapio::promise();
    /// promise.on_complete(|word: Result<&str, _>| assert_eq!(word.unwrap(), "done"));
    /// resolver.resolve("done").unwrap();
    /// ```
    #[track_caller]
    pub fn on_complete<F>(self, callback: F)
    where
        T: Send + 'static,
        F: FnOnce(Result<T, Broken>) + Send + 'static,
    {
        let origin = Origin {
            called_by: "Promise::on_complete",
            given_at: Location::caller(),
            task: context::current_task(),
        };
        callback::when_ready(compat::unbudgeted(self), callback, origin);
    }

    fn broken(&self) -> Broken {
        Broken {
            made_at: self.made_at,
        }
    }
}

impl<T> Future for Promise<T> {
    type Output = Result<T, Broken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let received = ready!(Pin::new(&mut self.receiver).poll(cx));
        Poll::Ready(received.map_err(|_| self.broken()))
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("made_at", &format_args!("{}", self.made_at))
            .finish_non_exhaustive()
    }
}

/// A promise's resolver was dropped without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    made_at: &'static Location<'static>,
}

impl Broken {
    /// Where the promise was made.
    #[must_use]
    pub fn made_at(&self) -> &'static Location<'static> {
        self.made_at
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the promise made at {} was broken: its resolver was dropped without a value\n  \
             help: resolve it on every path, with an error where there is no value",
            self.made_at
        )
    }
}

impl Error for Broken {}
