//! Handing over a computation.

use std::error::Error;
use std::fmt;
use std::panic::Location;

use super::builder::pool;
use super::handle::CpuHandle;
use super::job::Job;

/// Computes on the threads for that; a future of the result.
///
/// Calls begin in the order of spawning, as threads come free. When
/// `cpu_queue_max` calls are in line (1024), this one waits for a place when
/// the handle is polled, and stays with the handle until then: whoever awaits
/// what it spawns is slowed down, and the queue stays bounded.
///
/// Dropping the handle cancels a call that has not begun. To let it go on by
/// itself, give the handle to a task: `tapio::spawn(cpu::spawn(f))`.
///
/// See [the module](crate::cpu) for what belongs here and what does not.
///
/// # Panics
/// When the system gives no threads at the first call.
///
/// # Cost
/// Two allocations, a wake of a thread, and one back.
///
/// # Examples
/// ```
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let sum = tapio::cpu::spawn(|| (1..=1_000_000_u64).sum::<u64>()).await?;
/// assert_eq!(sum, 500_000_500_000);
/// # Ok::<_, tapio::task::JoinError>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn spawn<F, R>(call: F) -> CpuHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let pool = pool();
    let job = Job::new(pool, call, Location::caller());
    let id = job.id;
    match pool.try_place() {
        Some(place) => CpuHandle::started(id, job.submit(place)),
        None => CpuHandle::waiting(id, Box::pin(pool.place()), move |place| job.submit(place)),
    }
}

/// Computes on the threads for that, unless too many calls are in line.
///
/// # Errors
/// [`QueueFull`], with the call, when `cpu_queue_max` calls are in line.
///
/// # Panics
/// As [`spawn`].
///
/// # Examples
/// ```
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// # fn thumbnail() -> usize { 1 }
/// let answer = match tapio::cpu::try_spawn(thumbnail) {
///     Ok(picture) => Some(picture.await?),
///     Err(busy) => {
///         eprintln!("{busy}");
///         None
///     }
/// };
/// # assert_eq!(answer, Some(1));
/// # Ok::<_, tapio::task::JoinError>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn try_spawn<F, R>(call: F) -> Result<CpuHandle<R>, QueueFull<F>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let pool = pool();
    let job = Job::new(pool, call, Location::caller());
    match pool.try_place() {
        Some(place) => Ok(CpuHandle::started(job.id, job.submit(place))),
        None => Err(QueueFull {
            call: job.into_call(),
            max: pool.config.queue_max,
        }),
    }
}

/// As many calls are in line as may be.
pub struct QueueFull<F> {
    call: F,
    max: usize,
}

impl<F> QueueFull<F> {
    /// What was to be called.
    #[must_use]
    pub fn into_call(self) -> F {
        self.call
    }
}

impl<F> fmt::Display for QueueFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cpu_queue_max ({}) reached: so many calls wait for a thread of `tapio::cpu`\n  \
             help: await `cpu::spawn`, which waits for a place, or turn work away",
            self.max
        )
    }
}

impl<F> fmt::Debug for QueueFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueFull")
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

impl<F> Error for QueueFull<F> {}
