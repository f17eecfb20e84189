//! Other ways to spawn into a group.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::TaskGroup;
use super::shared::Shared;

/// Spawns into a group from anywhere: a child that finds more to do, say.
///
/// It does not keep the group: one that has ended takes no more children.
///
/// # Examples
/// ```
/// use std::io;
/// use tapio::task::{GroupError, Spawner, TaskGroup};
///
/// async fn page(number: u32) -> io::Result<u32> {
///     Ok(number)
/// }
///
/// async fn book(pages: u32, spawner: Spawner<u32, io::Error>) -> io::Result<u32> {
///     for number in 1..=pages {
///         if spawner.spawn(page(number)).is_err() {
///             break;
///         }
///     }
///     Ok(0)
/// }
///
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let read = TaskGroup::scope(async |group| {
///     group.spawn(book(3, group.spawner()));
///     Ok(group.all().await)
/// })
/// .await?;
/// assert_eq!(read, [0, 1, 2, 3]);
/// # Ok::<_, GroupError<io::Error>>(())
/// # }).unwrap();
/// ```
pub struct Spawner<T, E> {
    shared: Arc<Shared<T, E>>,
}

impl<T, E> Spawner<T, E> {
    pub(super) fn new(shared: Arc<Shared<T, E>>) -> Spawner<T, E> {
        Spawner { shared }
    }
}

impl<T, E> Spawner<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// Spawns a child, as [`TaskGroup::spawn`].
    ///
    /// # Errors
    /// The child itself, when the group is over or about to be.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn<F>(&self, child: F) -> Result<(), F>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let Some(birth) = self.shared.birth() else {
            return Err(child);
        };
        birth.spawn(child, None);
        Ok(())
    }
}

impl<T, E> Clone for Spawner<T, E> {
    fn clone(&self) -> Spawner<T, E> {
        Spawner::new(Arc::clone(&self.shared))
    }
}

impl<T, E> fmt::Debug for Spawner<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}

/// A place for one more running child, from [`TaskGroup::reserve`]; dropping
/// it gives it up.
#[must_use = "a place that is dropped is given up"]
pub struct Place<'a, T, E> {
    group: &'a TaskGroup<T, E>,
    /// `None` in a group without a limit.
    permit: Option<OwnedSemaphorePermit>,
}

impl<'a, T, E> Place<'a, T, E> {
    pub(super) fn new(
        group: &'a TaskGroup<T, E>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Place<'a, T, E> {
        Place { group, permit }
    }
}

impl<T, E> Place<'_, T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// Spawns a child here.
    ///
    /// # Panics
    /// As [`TaskGroup::spawn`].
    #[track_caller]
    pub fn spawn<F>(self, child: F)
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.group.birth().spawn(child, self.permit);
    }
}

impl<T, E> fmt::Debug for Place<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}
