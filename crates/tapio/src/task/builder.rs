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
    at: Option<&'static Location<'static>>,
}

impl<'a> Builder<'a> {
    /// A builder for a task without a name.
    pub fn new() -> Builder<'a> {
        Builder::default()
    }

    /// What reports call the task.
    pub fn name(mut self, name: &'a str) -> Builder<'a> {
        self.name = Some(name);
        self
    }

    /// Has reports name `at` as the place at which the task was spawned,
    /// instead of the line that spawns it.
    ///
    /// For libraries that spawn on behalf of their callers: a line of the
    /// library says nothing to those who read the report.
    ///
    /// # Examples
    /// ```
    /// use std::panic::Location;
    /// use tapio::task::{Builder, JoinHandle};
    ///
    /// /// Reports name the line that called this.
    /// #[track_caller]
    /// fn start_cleaning() -> std::io::Result<JoinHandle<()>> {
    ///     let at = Location::caller();
    ///     Builder::new().spawned_at(at).spawn(async { /* … */ })
    /// }
    /// # tapio::runtime::Runtime::new().unwrap().block_on(async {
    /// start_cleaning()?.await?;
    /// # Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn spawned_at(mut self, at: &'static Location<'static>) -> Builder<'a> {
        self.at = Some(at);
        self
    }

    /// The place that reports name.
    #[track_caller]
    fn site(&self) -> &'static Location<'static> {
        // Not `unwrap_or_else`: in its closure this file is the caller.
        match self.at {
            Some(at) => at,
            None => Location::caller(),
        }
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
        let at = self.site();
        Ok(match self.name {
            Some(name) => handle.spawn_named(future, name, at),
            None => handle.spawn_at(future, at),
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
        Ok(spawn_local_named(future, self.name, self.site()))
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
        Ok(local_set.spawn_named(future, self.name, self.site()))
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
        handle.spawn_blocking_at(f, self.name, self.site())
    }
}
