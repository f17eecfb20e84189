//! Tasks with names, in a set.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;

use super::JoinSet;
use crate::runtime::Handle;
use crate::task::{self, AbortHandle, LocalSet};

/// As [`task::Builder`](crate::task::Builder), for tasks of a set; made by
/// [`JoinSet::build_task`].
#[must_use = "a builder spawns nothing by itself"]
pub struct Builder<'a, T> {
    set: &'a mut JoinSet<T>,
    task: task::Builder<'a>,
}

impl<'a, T: 'static> Builder<'a, T> {
    pub(super) fn new(set: &'a mut JoinSet<T>) -> Builder<'a, T> {
        Builder {
            set,
            task: task::Builder::new(),
        }
    }

    /// What reports call the task.
    pub fn name(mut self, name: &'a str) -> Builder<'a, T> {
        self.task = self.task.name(name);
        self
    }

    /// Has reports name `at` as the place at which the task was spawned; see
    /// [`task::Builder::spawned_at`].
    pub fn spawned_at(mut self, at: &'static Location<'static>) -> Builder<'a, T> {
        self.task = self.task.spawned_at(at);
        self
    }

    /// As [`JoinSet::spawn`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn`].
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.task.spawn(future)?))
    }

    /// As [`JoinSet::spawn_on`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn_on`].
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.task.spawn_on(future, handle)?))
    }

    /// As [`JoinSet::spawn_local`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn_local`].
    ///
    /// # Panics
    /// Outside of a [`LocalSet`].
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + 'static,
    {
        Ok(self.set.insert(self.task.spawn_local(future)?))
    }

    /// As [`JoinSet::spawn_local_on`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn_local_on`].
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, local_set: &LocalSet) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + 'static,
    {
        Ok(self
            .set
            .insert(self.task.spawn_local_on(future, local_set)?))
    }

    /// As [`JoinSet::spawn_blocking`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn_blocking`].
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(self, f: F) -> io::Result<AbortHandle>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.task.spawn_blocking(f)?))
    }

    /// As [`JoinSet::spawn_blocking_on`].
    ///
    /// # Errors
    /// As [`task::Builder::spawn_blocking_on`].
    #[track_caller]
    pub fn spawn_blocking_on<F>(self, f: F, handle: &Handle) -> io::Result<AbortHandle>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.task.spawn_blocking_on(f, handle)?))
    }
}

impl<T> fmt::Debug for Builder<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("set", &self.set)
            .field("task", &self.task)
            .finish()
    }
}
