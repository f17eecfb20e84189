//! Tasks with names.

use std::future::Future;
use std::io;
use std::panic::Location;

use super::local::{LocalSet, spawn_local_named};
use crate::cell::JoinHandle;
use crate::runtime::Handle;

/// Spawns a task that has a name, under tokio's name and with its signatures
/// (there unstable).
///
/// The name is for people: every [`Report`](crate::guard::Report) on the task
/// has it, beside the place at which the task was spawned. Names need not
/// differ.
///
/// # Cost
/// A named task costs an entry in a table of the process, and an allocation.
/// Others pay nothing for there being names.
///
/// # Examples
/// ```
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let task = tapio::task::Builder::new()
///     .name("reaper")
///     .spawn(async { /* … */ })?;
/// task.await?;
/// # Ok::<_, std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a builder spawns nothing by itself"]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

impl<'a> Builder<'a> {
    /// A builder for a task without a name.
    pub fn new() -> Builder<'a> {
        Builder::default()
    }

    /// What reports call the task.
    pub fn name(self, name: &'a str) -> Builder<'a> {
        Builder { name: Some(name) }
    }

    /// As [`spawn`](crate::spawn).
    ///
    /// # Errors
    /// None as of now; tokio's signature has them.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_on(future, &Handle::current())
    }

    /// As [`Handle::spawn`].
    ///
    /// # Errors
    /// None as of now; tokio's signature has them.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(match self.name {
            Some(name) => handle.spawn_named(future, name, Location::caller()),
            None => handle.spawn(future),
        })
    }

    /// As [`spawn_local`](super::spawn_local).
    ///
    /// # Errors
    /// None as of now; tokio's signature has them.
    ///
    /// # Panics
    /// Outside of a [`LocalSet`].
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Ok(spawn_local_named(future, self.name, Location::caller()))
    }

    /// As [`LocalSet::spawn_local`].
    ///
    /// # Errors
    /// None as of now; tokio's signature has them.
    #[track_caller]
    pub fn spawn_local_on<F>(
        self,
        future: F,
        local_set: &LocalSet,
    ) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Ok(local_set.spawn_named(future, self.name, Location::caller()))
    }

    /// As [`spawn_blocking`](super::spawn_blocking).
    ///
    /// # Errors
    /// When the system gives the pool no first thread.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, f: F) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.spawn_blocking_on(f, &Handle::current())
    }

    /// As [`Handle::spawn_blocking`].
    ///
    /// # Errors
    /// When the system gives the pool no first thread.
    #[track_caller]
    pub fn spawn_blocking_on<F, R>(self, f: F, handle: &Handle) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        handle.spawn_blocking_at(f, self.name, Location::caller())
    }
}
