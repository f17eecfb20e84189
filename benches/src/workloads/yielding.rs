//! Yield: how fast the scheduler goes around.

use super::{Batches, Cost, Plan, Start};
use crate::contract::Primitives;

const TASKS: u64 = 1_000;
const YIELDS: u64 = 1_000;

/// Yields `times` times.
pub(crate) async fn task<P: Primitives>(times: u64) -> u64 {
    for _ in 0..times {
        P::yield_now().await;
    }
    times
}

/// A thousand tasks yield in turn; nanoseconds for each yield.
///
/// The spawning and joining of the tasks is in it, spread over the yields.
pub(crate) async fn run<F, H>(plan: Plan, task: impl Fn(u64) -> F, spawn: impl Fn(F) -> H) -> Cost
where
    H: Future<Output = u64>,
{
    let yields = if plan.quick { YIELDS / 100 } else { YIELDS };
    let mut batches = Batches::new(plan);
    while batches.more() {
        let start = Start::now();
        let handles: Vec<H> = (0..TASKS).map(|_| spawn(task(yields))).collect();
        let mut done = 0;
        for handle in handles {
            done += handle.await;
        }
        batches.add(start, done);
    }
    batches.cost()
}
