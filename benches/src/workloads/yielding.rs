//! Yield: how fast the scheduler goes around.

use super::{Batches, Cost, Plan, Start};
use crate::contract::Primitives;

/// How many tasks yield how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    tasks: u64,
    yields: u64,
}

/// More tasks than the caches next to the core hold.
pub(crate) const CROWD: Shape = Shape {
    tasks: 1_000,
    yields: 1_000,
};
/// Ten million polls of which nothing is waited for, not even memory: what there is to see is what
/// the scheduler does around each.
pub(crate) const FEW: Shape = Shape {
    tasks: 10,
    yields: 1_000_000,
};

/// Yields `times` times.
pub(crate) async fn task<P: Primitives>(times: u64) -> u64 {
    for _ in 0..times {
        P::yield_now().await;
    }
    times
}

/// Tasks yield in turn; nanoseconds for each yield.
///
/// The spawning and joining of the tasks is in it, spread over the yields.
pub(crate) async fn run<F, H>(
    plan: Plan,
    shape: Shape,
    task: impl Fn(u64) -> F,
    spawn: impl Fn(F) -> H,
) -> Cost
where
    H: Future<Output = u64>,
{
    let yields = if plan.quick {
        shape.yields / 100
    } else {
        shape.yields
    };
    let mut batches = Batches::new(plan);
    while batches.more() {
        let start = Start::now();
        let handles: Vec<H> = (0..shape.tasks).map(|_| spawn(task(yields))).collect();
        let mut done = 0;
        for handle in handles {
            done += handle.await;
        }
        batches.add(start, done);
    }
    batches.cost()
}
