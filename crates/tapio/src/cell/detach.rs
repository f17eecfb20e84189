//! Tasks whose handle nobody keeps, and whose errors are reported.

use std::any::Any;
use std::fmt::Display;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::join::JoinHandle;
use crate::sync_facade::Mutex;

impl<T, E> JoinHandle<Result<T, E>>
where
    T: Send + 'static,
    E: Display + Send + 'static,
{
    /// Detaches the task: it goes on, and an error that it ends in is
    /// reported, whatever its type, as is a panic.
    ///
    /// Each error is a [`Report`](crate::guard::Report), with the error's text
    /// and the place at which the task was spawned; none is held back. So is
    /// one of a task that was told to end.
    ///
    /// # Cost
    /// One allocation.
    ///
    /// # Examples
    /// ```
    /// # async fn serve() -> Result<(), std::num::ParseIntError> { "x".parse::<u8>().map(drop) }
    /// # tapio::runtime::Runtime::new().unwrap().block_on(async {
    /// tapio::spawn(serve()).report_errors();
    /// # });
    /// ```
    pub fn report_errors(self) {
        let keeper = Arc::new(Keeper(Mutex::new(None)));
        let waker = Waker::from(Arc::clone(&keeper));
        let mut kept = keeper.0.lock();
        let is_complete = self.poll_complete(&waker);
        // Whoever completes the task from now on waits for us to let go of
        // the lock, and finds the handle.
        *kept = Some(self);
        drop(kept);
        if is_complete {
            keeper.let_go();
        }
    }
}

/// Keeps a task's handle until the task ends, as the handle's own waker.
struct Keeper<T, E>(Mutex<Option<JoinHandle<Result<T, E>>>>);

impl<T: Send + 'static, E: Display + Send + 'static> Keeper<T, E> {
    fn let_go(&self) {
        let handle = self.0.lock().take();
        if let Some(handle) = handle {
            handle.drop_showing(show::<T, E>);
        }
    }
}

impl<T: Send + 'static, E: Display + Send + 'static> Wake for Keeper<T, E> {
    fn wake(self: Arc<Self>) {
        self.let_go();
    }
}

fn show<T: 'static, E: Display + 'static>(output: &dyn Any) -> Option<String> {
    let output = output.downcast_ref::<Result<T, E>>();
    output?.as_ref().err().map(ToString::to_string)
}
