//! Who brings the value.

use std::fmt;

use tokio::sync::oneshot;

/// Keeps a [`Promise`](super::Promise): brings its value, once, from any
/// thread.
///
/// Dropping it breaks the promise.
#[must_use = "a resolver that is dropped breaks its promise"]
pub struct Resolver<T> {
    sender: oneshot::Sender<T>,
}

impl<T> Resolver<T> {
    pub(super) fn new(sender: oneshot::Sender<T>) -> Resolver<T> {
        Resolver { sender }
    }

    /// Brings the value, and wakes whoever waits for it.
    ///
    /// # Errors
    /// The value itself, when the promise was dropped: nobody wants it.
    pub fn resolve(self, value: T) -> Result<(), T> {
        self.sender.send(value)
    }

    /// Whether the promise is there still: one that was dropped wants nothing.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Waits until nobody wants the value any more, to stop working on it.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    ///
    /// # Examples
    /// ```
    /// # tapio::runtime::Runtime::new().unwrap().block_on(async {
    /// let (mut resolver, promise) = tapio::promise::<u32>();
    /// drop(promise);
    /// tapio::select! {
    ///     () = resolver.unwanted() => {}
    ///     () = std::future::pending() => unreachable!("a long computation"),
    /// }
    /// # });
    /// ```
    pub async fn unwanted(&mut self) {
        self.sender.closed().await;
    }
}

impl<T> fmt::Debug for Resolver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("is_wanted", &self.is_wanted())
            .finish_non_exhaustive()
    }
}
