//! Ping-pong: a number goes to another task and comes back.

use std::hint::black_box;

use super::{Batches, Cost, Plan, Start};
use crate::contract::{Primitives, Receiver, Sender};

const ROUND_TRIPS: u64 = 100_000;

/// The far side: sends back what it receives, until there is no more.
pub(crate) async fn task<P: Primitives>(
    (mut receiver, mut sender): (P::Receiver, P::Sender),
) -> u64 {
    let mut count = 0;
    while let Some(value) = receiver.recv().await {
        sender.send(value).await;
        count += 1;
    }
    count
}

/// Nanoseconds for each round trip between two tasks.
pub(crate) async fn run<P: Primitives, F, H>(
    plan: Plan,
    task: impl Fn((P::Receiver, P::Sender)) -> F,
    spawn: impl Fn(F) -> H,
) -> Cost
where
    H: Future<Output = u64>,
{
    let trips = if plan.quick {
        ROUND_TRIPS / 100
    } else {
        ROUND_TRIPS
    };
    let mut batches = Batches::new(plan);
    let (mut to_far, at_far) = P::channel();
    let (to_near, mut at_near) = P::channel();
    let far = spawn(task((at_far, to_near)));
    while batches.more() {
        let start = Start::now();
        for value in 0..trips {
            to_far.send(black_box(value)).await;
            assert_eq!(
                at_near.recv().await,
                Some(value),
                "what was sent comes back"
            );
        }
        batches.add(start, trips);
    }
    drop(to_far);
    black_box(far.await);
    batches.cost()
}
