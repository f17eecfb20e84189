//! Thousands of tasks that each block their worker starve nobody who was there
//! before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tapio::time::{MissedTickBehavior, interval};

use crate::child::in_child;
use crate::rig::Kind;

const BLOCKERS: usize = 600;
const BLOCKED: Duration = Duration::from_millis(50);
/// It was some 10 ms on a machine with nothing else to do, and more than a
/// second while every stand-in began with a task that was new.
const WORST: Duration = Duration::from_millis(250);

/// The longest that a ticker of 1 ms had to wait while `BLOCKERS` new tasks
/// blocked.
fn worst_gap(kind: Kind) -> Duration {
    let runtime = kind.build();
    runtime.block_on(async {
        let is_over = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&is_over);
        let ticker = tapio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            ticks.tick().await;
            let (mut last, mut worst) = (Instant::now(), Duration::ZERO);
            while !watched.load(Ordering::Relaxed) {
                ticks.tick().await;
                worst = worst.max(last.elapsed());
                last = Instant::now();
            }
            worst
        });
        let blockers: Vec<_> = (0..BLOCKERS)
            .map(|_| tapio::spawn(async { thread::sleep(BLOCKED) }))
            .collect();
        for blocker in blockers {
            blocker.await.expect("it returns");
        }
        is_over.store(true, Ordering::Relaxed);
        ticker.await.expect("it ticks to the end")
    })
}

#[test]
fn a_ticker_goes_on_beside_tasks_that_block() {
    in_child("starve::a_ticker_goes_on_beside_tasks_that_block", || {
        let kinds = Kind::all().into_iter();
        for kind in kinds.filter(|kind| kind.workers.is_some()) {
            let worst = worst_gap(kind);
            assert!(worst < WORST, "{kind}: it waited for {worst:?}");
        }
    });
}
