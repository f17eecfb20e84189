//! Computation, on threads of its own.
//!
//! `async` waits well and computes badly: a task that computes keeps its
//! worker from all others. [`spawn`] hands a computation to a pool with as
//! many threads as there are cores and gives a future for its result.
//!
//! | what it does | where to | why |
//! |---|---|---|
//! | waits in the kernel: a file, a name, a driver's library | [`task::spawn_blocking`] | up to 512 threads, which use no CPU; a call more costs nobody |
//! | computes: hashing, images, parsing megabytes | [`cpu::spawn`](spawn) | one thread for each core, and a bounded queue: more at a time makes all of them slower |
//! | computes in parallel, on borrowed data | [`join`], [`scope`], rayon's iterators inside of them | divides its work among those threads |
//! | either, where the call cannot be moved (not `Send`, or it borrows) | [`task::block_in_place`] | stays on this thread; another takes the worker's place |
//! | computes for less than a millisecond | the task itself | handing over costs a few microseconds |
//!
//! [`task::spawn_blocking`]: crate::task::spawn_blocking
//! [`task::block_in_place`]: crate::task::block_in_place
//!
//! # One pool for the process
//! There are as many cores as there are, however many runtimes share them, so
//! the pool is not a runtime's. It starts with the first call and stays; its
//! threads are `tapio-cpu-0` and on, and sleep when there is nothing to do.
//! `TAPIO_CPU_THREADS` says how many, or [`Builder`] in the program. The end
//! of a runtime does not wait for it.
//!
//! Inside of a call, rayon's `par_iter` and the like use this pool, and the
//! runtime that the call was spawned from is entered: `tapio::spawn` works.
//!
//! # Do not wait in a call
//! A call that blocks on another [`CpuHandle`] keeps the thread that the other
//! may need. Use [`join`] or [`scope`], whose threads work while they wait.
//!
//! # Beside the workers
//! The threads are nicer than others (`nice` 5), so that when all cores
//! compute, a worker that wakes comes before them: [`Builder::nice`].

// Reading order: `spawn` and `handle` are what users call and hold; `job` is
// a call on its way, `pool` where it goes; `borrow` is `scope` and `join`.

mod borrow;
mod builder;
mod handle;
mod job;
mod metrics;
mod pool;
mod spawn;

pub use rayon::Scope;

pub use self::borrow::{join, scope};
pub use self::builder::{AlreadyStarted, Builder};
pub use self::handle::CpuHandle;
pub use self::metrics::{CpuMetrics, metrics};
pub use self::spawn::{QueueFull, spawn, try_spawn};
