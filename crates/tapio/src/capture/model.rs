//! The exchange under loom: a guard that asks, gives up and asks again, while
//! handlers come in time, late, or twice.
//!
//! What is checked: loom sees every use of the memory, so no handler writes
//! while the guard reads or another handler writes, and what the guard reads
//! is what was written for this very request.
//!
//! `RUSTFLAGS="--cfg tapio_model" cargo test -p tapio --release --lib model`

use std::sync::Arc;

use loom::thread;

use super::exchange::{Exchange, GivenUp};

/// A handler on thread `tid`: writes who it is and whose stack it was told of.
fn handler(exchange: &Exchange<(i32, usize)>, tid: i32) {
    if let Some((claim, stack)) = exchange.claim(tid) {
        claim.done(|answer| *answer = (tid, stack.0));
    }
}

/// Reads the answer if it is there by now, or gives up; says whether it read.
fn collect_or_give_up(exchange: &Exchange<(i32, usize)>, expected: (i32, usize)) -> bool {
    if !exchange.is_done() && exchange.give_up() == GivenUp::InTime {
        return false;
    }
    if !exchange.is_done() {
        // A handler is at it, and the guard does not wait for ever.
        return false;
    }
    exchange.collect(|answer| assert_eq!(*answer, expected));
    true
}

#[test]
fn a_request_is_answered_once_or_given_up() {
    loom::model(|| {
        let exchange = Arc::new(Exchange::new((0, 0)));
        // The signal may come before the request, or twice.
        let handlers: Vec<_> = (0..2)
            .map(|_| {
                let exchange = Arc::clone(&exchange);
                thread::spawn(move || handler(&exchange, 1))
            })
            .collect();
        assert!(exchange.request(1, (10, 20)));
        collect_or_give_up(&exchange, (1, 10));
        for handler in handlers {
            handler.join().expect("it ends");
        }
        // Whatever was left behind, the next request can be made and is
        // answered.
        assert!(exchange.request(2, (30, 40)));
        handler(&exchange, 2);
        assert!(collect_or_give_up(&exchange, (2, 30)));
    });
}

#[test]
fn a_late_handler_leaves_the_next_request_alone() {
    let mut model = loom::model::Builder::new();
    // Three threads without a bound take hours.
    model.preemption_bound = Some(3);
    model.check(|| {
        let exchange = Arc::new(Exchange::new((0, 0)));
        let (late, next) = (Arc::clone(&exchange), Arc::clone(&exchange));
        let late = thread::spawn(move || handler(&late, 1));
        let next = thread::spawn(move || handler(&next, 2));
        assert!(exchange.request(1, (10, 20)));
        collect_or_give_up(&exchange, (1, 10));
        // Refused while the late handler writes.
        if exchange.request(2, (30, 40)) {
            collect_or_give_up(&exchange, (2, 30));
        }
        late.join().expect("it ends");
        next.join().expect("it ends");
    });
}
