//! Computation on borrowed data.

use rayon::Scope;

use super::builder::pool;
use crate::context::{self, Entered};
use crate::scheduler;

/// Computes both, in parallel where a thread is free, and returns when both
/// are done. They may borrow.
///
/// # Where it may be called
/// It blocks its caller until then, as everything that borrows must:
/// - inside of [`cpu::spawn`](super::spawn), and in itself: the thread helps;
/// - on any thread of yours, or in `spawn_blocking`: that thread sleeps;
/// - in a task of a multi-threaded runtime: as in
///   [`block_in_place`](crate::task::block_in_place), another thread goes on
///   with this worker's tasks, and the guard sees no stall;
/// - in a task of a `current_thread` runtime or a `LocalSet`, nobody can take
///   over: their other tasks wait, and the guard says so when it takes long.
///   There `cpu::spawn(move || cpu::join(..)).await` is what you want.
///
/// # Panics
/// With the panic of either, after both have ended.
///
/// # Cost
/// Tens of nanoseconds inside of the pool. From elsewhere a wake of one of its
/// threads and one back; on a worker, a handing over of its seat.
///
/// # Examples
/// ```
/// let numbers = [3, 1, 2];
/// let (sum, most) = tapio::cpu::join(
///     || numbers.iter().sum::<u32>(),
///     || numbers.iter().max(),
/// );
/// assert_eq!((sum, most), (6, Some(&3)));
/// ```
#[track_caller]
pub fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    on_pool(move || rayon::join(a, b))
}

/// Runs `body`, which may spawn computations that borrow what is outside, and
/// returns when all are done. Inside, rayon's iterators use the same threads.
///
/// Where it may be called, and what it costs: as [`join`].
///
/// # Panics
/// With the panic of the body or of a computation, after all have ended.
///
/// # Examples
/// ```
/// let mut counts = [0; 4];
/// tapio::cpu::scope(|scope| {
///     for (number, count) in counts.iter_mut().enumerate() {
///         scope.spawn(move |_| *count = number * number);
///     }
/// });
/// assert_eq!(counts, [0, 1, 4, 9]);
/// ```
#[track_caller]
pub fn scope<'scope, F, R>(body: F) -> R
where
    F: FnOnce(&Scope<'scope>) -> R + Send,
    R: Send,
{
    on_pool(move || rayon::scope(body))
}

#[track_caller]
fn on_pool<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    let pool = pool();
    if pool.is_here() {
        return f();
    }
    match context::entered() {
        Entered::Inside => scheduler::block_in_place(|| pool.run(f)),
        Entered::Outside | Entered::Pinned => pool.run(f),
    }
}
