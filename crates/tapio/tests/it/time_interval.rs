//! Intervals: ticks as planned, late ones as asked.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::thread;

use tapio::time::{
    Duration, Instant, Interval, MissedTickBehavior, interval, interval_at, timeout,
};

use crate::support::runtimes;

const MS: Duration = Duration::from_millis(1);
const PERIOD: Duration = Duration::from_millis(10);

async fn is_ready(interval: &mut Interval) -> Option<Instant> {
    poll_fn(|cx| match interval.poll_tick(cx) {
        Poll::Ready(tick) => Poll::Ready(Some(tick)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[test]
fn ticks_come_one_period_apart() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let start = Instant::now() + MS * 3;
            let mut interval = interval_at(start, PERIOD);
            assert_eq!(interval.period(), PERIOD);
            for number in 0..4 {
                let planned = interval.tick().await;
                assert_eq!(planned, start + PERIOD * number, "{kind}");
                assert!(Instant::now() >= planned, "{kind}");
            }
        });
        assert_eq!(runtime.metrics().num_timers(), 0, "{kind}");
    }
}

#[test]
fn the_first_tick_comes_at_once() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let start = Instant::now();
            let mut interval = interval(PERIOD * 100_000);
            let tick = is_ready(&mut interval).await.expect("it is there");
            assert!(tick >= start && tick <= Instant::now(), "{kind}");
            assert_eq!(is_ready(&mut interval).await, None, "{kind}");
            // Whoever waits already is woken.
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                let tick = interval.poll_tick(cx);
                if polls == 1 {
                    assert!(tick.is_pending());
                    interval.reset_immediately();
                    return Poll::Pending;
                }
                tick.map(drop)
            })
            .await;
        });
    }
}

/// Takes one tick, blocks for 55 ms and takes the next; gives the start, the
/// moment of taking it, and the interval.
async fn late(behavior: MissedTickBehavior) -> (Instant, Instant, Interval) {
    let mut interval = interval(PERIOD);
    assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Burst);
    // In a burst the plan stays, even if this machine is slow at this tick.
    let start = interval.tick().await;
    interval.set_missed_tick_behavior(behavior);
    assert_eq!(interval.missed_tick_behavior(), behavior);
    thread::sleep(PERIOD * 5 + PERIOD / 2);
    let taken = Instant::now();
    assert_eq!(interval.tick().await, start + PERIOD);
    (start, taken, interval)
}

#[test]
fn missed_ticks_come_in_a_burst() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (start, _, mut interval) = late(MissedTickBehavior::Burst).await;
            for number in 2..8 {
                assert_eq!(interval.tick().await, start + PERIOD * number, "{kind}");
            }
        });
    }
}

#[test]
fn missed_ticks_delay_the_rest() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (_, taken, mut interval) = late(MissedTickBehavior::Delay).await;
            let next = interval.tick().await;
            assert!(next >= taken + PERIOD, "{kind}");
        });
    }
}

#[test]
fn missed_ticks_are_skipped() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (start, taken, mut interval) = late(MissedTickBehavior::Skip).await;
            let next = interval.tick().await;
            assert!(next > taken, "{kind}");
            assert_eq!(
                (next - start).as_nanos() % PERIOD.as_nanos(),
                0,
                "{kind}: as planned"
            );
        });
    }
}

#[test]
fn resets_move_the_next_tick() {
    const LONG: Duration = Duration::from_secs(3600);
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut interval = interval(LONG);
            interval.tick().await;

            interval.reset_immediately();
            let now = Instant::now();
            assert!(interval.tick().await <= now, "{kind}");

            let before = Instant::now();
            interval.reset_after(MS * 3);
            let tick = interval.tick().await;
            assert!(tick >= before + MS * 3 && Instant::now() >= tick, "{kind}");

            let planned = Instant::now() + MS * 3;
            interval.reset_at(planned);
            assert_eq!(interval.tick().await, planned, "{kind}");
            assert_eq!(is_ready(&mut interval).await, None, "{kind}: an hour later");

            // In the middle of waiting.
            let planned = Instant::now() + MS * 3;
            {
                let mut tick = pin!(interval.tick());
                poll_fn(|cx| {
                    assert!(tick.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
            interval.reset_at(planned);
            assert_eq!(
                interval.tick().await,
                planned,
                "{kind}: no tick was lost with the future"
            );

            interval.reset();
            assert_eq!(is_ready(&mut interval).await, None, "{kind}: an hour later");
        });
        assert_eq!(runtime.metrics().num_timers(), 0, "{kind}");
    }
}

#[test]
fn an_endless_period_is_one() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut interval = interval(Duration::MAX);
            interval.tick().await;
            assert!(timeout(MS * 2, interval.tick()).await.is_err(), "{kind}");
            interval.reset_after(Duration::MAX);
            assert!(timeout(MS * 2, interval.tick()).await.is_err(), "{kind}");
        });
    }
}

#[test]
#[should_panic(expected = "`period` must be non-zero")]
fn a_period_of_zero_is_none() {
    let _interval = interval(Duration::ZERO);
}
