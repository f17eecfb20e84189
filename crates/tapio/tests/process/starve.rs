//! Thousands of tasks that each block their worker starve nobody who was there
//! before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tapio::runtime::Runtime;
use tapio::time::{MissedTickBehavior, interval};

use crate::child::in_child;
use crate::rig::Kind;

const BLOCKERS: usize = 600;
const BLOCKED: Duration = Duration::from_millis(50);
/// It was some 10 ms on a machine with nothing else to do, and more than a
/// second while every stand-in began with a task that was new.
const WORST: Duration = Duration::from_millis(250);

/// The longest that a ticker of 1 ms had to wait while so many new tasks
/// blocked.
fn worst_gap(runtime: &Runtime, blockers: usize) -> Duration {
    runtime.block_on(async move {
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
        let blockers: Vec<_> = (0..blockers)
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
            let worst = worst_gap(&kind.build(), BLOCKERS);
            assert!(worst < WORST, "{kind}: it waited for {worst:?}");
        }
    });
}

#[test]
fn a_ticker_has_its_turn_after_each_task_where_nobody_is_rescued() {
    const FEW: usize = 30;
    let name = "starve::a_ticker_has_its_turn_after_each_task_where_nobody_is_rescued";
    in_child(name, || {
        let kinds = Kind::all().into_iter();
        // With `current_thread`, those that block stand in the same queue.
        for kind in kinds.filter(|kind| kind.workers.is_some()) {
            let mut builder = kind.builder();
            let runtime = builder.enable_all().rescue(false).build();
            let worst = worst_gap(&runtime.expect("a runtime"), FEW);
            // One after the other they take 750 ms on two workers.
            assert!(worst < BLOCKED * 5, "{kind}: it waited for {worst:?}");
        }
    });
}
