//! Timers: the common one, which never fires, and very many that do.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use super::{Batches, Cost, Plan, Start};
use crate::contract::Primitives;

const TIMERS: u64 = 100_000;
const SLEEPERS: u64 = 500_000;
/// The first sleeper wakes after this, so that all of them are asleep first.
const LEAD: Duration = Duration::from_millis(1_500);
const SPREAD: Duration = Duration::from_secs(1);

/// Makes a timer, polls it once and drops it, as a timeout around something
/// quick does; nanoseconds for each.
pub(crate) async fn churn<P: Primitives>(plan: Plan) -> Cost {
    let timers = if plan.quick { TIMERS / 100 } else { TIMERS };
    let mut batches = Batches::new(plan);
    while batches.more() {
        let start = Start::now();
        for number in 0..timers {
            let mut sleep = pin!(P::sleep(Duration::from_millis(10_000 + number % 1_000)));
            let woke = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_ready())).await;
            assert!(!woke, "a timer of ten seconds is not due at once");
        }
        batches.add(start, timers);
    }
    batches.cost()
}

/// Sleeps once.
pub(crate) async fn task<P: Primitives>(duration: Duration) -> u64 {
    P::sleep(duration).await;
    1
}

/// Half a million tasks sleep for durations spread evenly over a second, in no
/// order; the cost of each, spawning and joining included. Its CPU time counts: on
/// the clock, nearly all of it is sleep.
pub(crate) async fn sleepers<F, H>(
    plan: Plan,
    task: impl Fn(Duration) -> F,
    spawn: impl Fn(F) -> H,
) -> Cost
where
    H: Future<Output = u64>,
{
    let count = if plan.quick { SLEEPERS / 5 } else { SLEEPERS };
    let start = Start::now();
    let mut handles = Vec::with_capacity(count as usize);
    for number in 0..count {
        // Strides by a number that shares no factor with the count: each moment
        // comes once, and neighbours in the loop are far apart in time.
        let place = number * 104_729 % count;
        handles.push(spawn(task(
            LEAD + SPREAD.mul_f64(place as f64 / count as f64),
        )));
    }
    let mut woken = 0;
    for handle in handles {
        woken += handle.await;
    }
    assert_eq!(woken, count, "every sleeper wakes once");
    start.cost(count)
}
