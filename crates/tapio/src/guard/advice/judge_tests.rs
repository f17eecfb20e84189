//! What is made of sums that are made up.

use std::collections::BTreeMap;
use std::panic::Location;
use std::time::Duration;

use super::advise;
use crate::guard::advice::ledger::{Record, Site, Totals};
use crate::report::{Advice, LockWait, SiteAdvice, SiteKind, Verdict};
use crate::tally::Counts;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Ten seconds of two workers.
const TOTALS: Totals = Totals {
    elapsed: ms(10_000),
    worker_time: ms(20_000),
    busy: ms(9_000),
    looks: 10_000,
    resolution: ms(2),
};

#[track_caller]
fn site() -> Site {
    (Location::caller(), SiteKind::Tasks)
}

fn advise_one(record: Record, waits: Vec<LockWait>, site: Site) -> SiteAdvice {
    let advice = advise(&TOTALS, &BTreeMap::from([(site, record)]), waits);
    advice.sites.into_iter().next().expect("the one")
}

fn verdict(record: Record) -> Verdict {
    advise_one(record, vec![], site()).verdict
}

/// What ran for so long, in polls of up to `longest`, with `io` operations.
fn ran(busy: u64, longest: u64, io: u64) -> Record {
    Record {
        busy: ms(busy),
        samples: busy / 2,
        polls: (busy / 2).min(1 + busy / longest.max(2)),
        longest: ms(longest),
        states: busy / 20,
        counts: Counts { io, offloads: 0 },
        ..Record::default()
    }
}

#[test]
fn who_uses_time_and_does_hardly_any_io_computes() {
    assert_eq!(verdict(ran(8_000, 800, 0)), Verdict::Computes);
    assert_eq!(verdict(ran(8_000, 0, 0)), Verdict::Computes);
    // Ten milliseconds for each operation.
    assert_eq!(verdict(ran(8_000, 20, 800)), Verdict::Computes);
}

#[test]
fn who_does_io_for_its_time_is_fine_however_much_it_uses() {
    // Twenty microseconds for each operation.
    assert_eq!(verdict(ran(8_000, 4, 400_000)), Verdict::Fine);
    assert_eq!(verdict(ran(0, 0, 1)), Verdict::Fine);
}

#[test]
fn who_uses_little_time_is_named_for_long_polls_only() {
    assert_eq!(verdict(ran(300, 200, 0)), Verdict::LongPolls);
    assert_eq!(verdict(ran(300, 4, 0)), Verdict::Quiet);
}

#[test]
fn who_waits_in_the_kernel_blocks() {
    let record = Record {
        judged: ms(900),
        blocked: ms(880),
        ..ran(1_000, 100, 30)
    };
    assert_eq!(verdict(record), Verdict::Blocks);
    let record = Record {
        blocked: ms(100),
        ..record
    };
    assert_eq!(verdict(record), Verdict::Computes);
}

#[test]
fn short_polls_that_wait_in_the_kernel_block() {
    // Five milliseconds in twenty, of which a look meets one at a time.
    let naps = Record {
        states: 120,
        blocked_states: 110,
        ..ran(2_500, 0, 0)
    };
    assert_eq!(verdict(naps), Verdict::Blocks);
    let advice = advise_one(naps, vec![], site());
    assert!(advice.blocked > 0.9, "{advice}");
    // Some long ones among them were computation.
    let judged = Record {
        judged: ms(30),
        ..naps
    };
    assert_eq!(verdict(judged), Verdict::Blocks);
    let computes = Record {
        blocked_states: 20,
        ..naps
    };
    assert_eq!(verdict(computes), Verdict::Computes);
    // Nobody has seen what they do, or hardly.
    let unseen = Record {
        states: 3,
        blocked_states: 3,
        ..naps
    };
    assert_eq!(verdict(unseen), Verdict::TooLittle);
    let io = Counts {
        io: 40_000,
        offloads: 0,
    };
    let unseen = Record {
        blocked_states: 0,
        counts: io,
        ..unseen
    };
    assert_eq!(verdict(unseen), Verdict::Fine);
}

#[test]
fn a_few_looks_say_nothing_of_shares() {
    let few = Totals {
        elapsed: ms(100),
        worker_time: ms(100),
        looks: 50,
        ..TOTALS
    };
    let records = BTreeMap::from([(site(), ran(80, 8, 0)), (site(), ran(0, 0, 3))]);
    let advice = advise(&few, &records, vec![]);
    assert!(!advice.is_enough);
    for site in &advice.sites {
        assert_eq!(site.verdict, Verdict::TooLittle);
    }
    assert!(advice.to_string().contains("too little"), "{advice}");
}

fn wait(site: Site, lock: &str, waits: u64, waited: Duration) -> LockWait {
    LockWait {
        site: site.0,
        lock: lock.into(),
        waits,
        waited,
    }
}

#[test]
fn who_waits_mostly_for_one_lock_is_told_which() {
    let site = site();
    let waits = vec![
        wait(site, "`accounts`", 1_200, ms(8_200)),
        wait(site, "`log`", 4_000, ms(300)),
    ];
    let advice = advise_one(ran(400, 0, 5_000), waits.clone(), site);
    assert_eq!(advice.verdict, Verdict::WaitsForLock);
    assert_eq!(advice.lock_wait.as_ref(), Some(&waits[0]));
    let text = advice.to_string();
    assert!(
        text.contains("the lock `accounts` 1,200 times, 8.2 s in sum"),
        "{text}"
    );

    // Never met while running: it waits all the time.
    let advice = advise(&TOTALS, &BTreeMap::new(), waits);
    assert_eq!(advice.sites[0].verdict, Verdict::WaitsForLock);
}

#[test]
fn many_locks_seldom_waits_or_little_waiting_are_no_bottleneck() {
    let site = site();
    let fine = |waits| {
        let advice = advise_one(ran(400, 0, 5_000), waits, site);
        assert_eq!(advice.verdict, Verdict::Fine);
        assert_eq!(advice.lock_wait, None);
    };
    fine(vec![
        wait(site, "a", 100, ms(1_500)),
        wait(site, "b", 100, ms(1_400)),
        wait(site, "c", 100, ms(1_400)),
    ]);
    fine(vec![wait(site, "a", 3, ms(8_000))]);
    fine(vec![wait(site, "a", 100, ms(600))]);
}

/// The whole text, as a reader gets it.
#[test]
fn the_advice_says_first_what_to_change() {
    let (pi, proxy, idle) = (site(), site(), site());
    let records = BTreeMap::from([
        (pi, ran(7_100, 830, 0)),
        (proxy, ran(1_000, 0, 31_000)),
        (idle, ran(100, 0, 0)),
    ]);
    let advice: Advice = advise(&TOTALS, &records, vec![]);
    let (pi, proxy) = (pi.0, proxy.0);
    let expected = format!(
        "advice: over 10 s, workers ran tasks 45 % of the time (10,000 looks, one each \
         2.0 ms or sooner)\n  tasks spawned at {pi} used 7.1 s, 36 % of worker time, longest poll \
         830 ms, no I/O: this is computation, which async makes no faster\n    help: compute with \
         tapio::cpu::spawn, on all cores and out of the way of I/O, or give way between steps \
         with tapio::task::yield_now().await, which is no faster but lets others run\n  fine: \
         tasks spawned at {proxy} used 1.0 s, 5.0 % of worker time, no poll seen to last 4.0 ms, \
         31,000 I/O operations, 3,100 a second\n  1 more place, 0.5 % of worker time together, \
         did no I/O themselves\n  in all, 79 % of the time in which tasks ran went into \
         computation"
    );
    assert_eq!(advice.to_string(), expected);
}
