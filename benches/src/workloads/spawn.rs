//! Spawn: what a task costs from its spawning to the end of its handle.

use std::hint::black_box;

use super::{Batches, Cost, Plan, Start};

const BATCH: u64 = 100_000;
const GROUP: u64 = 1_000;

/// The task: as little as there can be, but with an output.
pub(crate) async fn task(number: u64) -> u64 {
    black_box(number)
}

/// Spawns a task and waits for it, over and over; nanoseconds for each.
pub(crate) async fn one_by_one<F, H>(
    plan: Plan,
    task: impl Fn(u64) -> F,
    spawn: impl Fn(F) -> H,
) -> Cost
where
    H: Future<Output = u64>,
{
    let batch = if plan.quick { BATCH / 100 } else { BATCH };
    let mut batches = Batches::new(plan);
    while batches.more() {
        let start = Start::now();
        for number in 0..batch {
            black_box(spawn(task(number)).await);
        }
        batches.add(start, batch);
    }
    batches.cost()
}

/// Spawns a thousand tasks, then waits for each; nanoseconds for each.
pub(crate) async fn many<F, H>(plan: Plan, task: impl Fn(u64) -> F, spawn: impl Fn(F) -> H) -> Cost
where
    H: Future<Output = u64>,
{
    let groups = if plan.quick { 1 } else { BATCH / GROUP };
    let mut batches = Batches::new(plan);
    let mut handles = Vec::with_capacity(GROUP as usize);
    while batches.more() {
        let start = Start::now();
        for _ in 0..groups {
            handles.extend((0..GROUP).map(|number| spawn(task(number))));
            for handle in handles.drain(..) {
                black_box(handle.await);
            }
        }
        batches.add(start, groups * GROUP);
    }
    batches.cost()
}
