//! Tasks that are stuck, and what the guard says of them: the line, the cause,
//! what to do. Everything else goes on meanwhile.
//!
//! Run it with `cargo run --release -p tapio --example stall`. Every report
//! goes to standard error, and a line of each to standard output.

#![expect(clippy::print_stdout, reason = "it shows what was found out")]

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use tapio::guard::{self, Culprit, Report, Stall, StallCause};

/// Set when a stall has been reported, which ends it.
static IS_REPORTED: AtomicBool = AtomicBool::new(false);

async fn sleeps_on_its_thread() {
    while !IS_REPORTED.load(Relaxed) {
        thread::sleep(Duration::from_millis(50));
    }
}

async fn looks_at_the_clock() {
    let begin = Instant::now();
    while !IS_REPORTED.load(Relaxed) || begin.elapsed() < Duration::from_millis(1) {}
}

async fn computes() {
    while !IS_REPORTED.load(Relaxed) {
        std::hint::spin_loop();
    }
}

fn tell(stall: &Stall) {
    let cause = match &stall.cause {
        StallCause::Computing => "computing",
        StallCause::Blocked(Some(call)) => call.name().unwrap_or("a call without a name"),
        _ => "something else",
    };
    let frame = stall
        .stack
        .as_ref()
        .and_then(|stack| stack.top_user_frame());
    let function = frame.and_then(|frame| frame.function.as_deref());
    let line = frame.and_then(|frame| frame.line);
    println!(
        "{} ({cause}), {}",
        function.unwrap_or("an unknown function"),
        if line.is_some() {
            "its line is known"
        } else {
            "without line tables"
        },
    );
}

#[tapio::main]
async fn main() -> Result<(), tapio::task::JoinError> {
    let reports = guard::on_report(|report| {
        eprintln!("{report}\n");
        if let Report::Stall(stall) = report
            && matches!(stall.culprit, Culprit::Task(_))
            && stall.repeats == 0
        {
            tell(stall);
            IS_REPORTED.store(true, Relaxed);
        }
    });
    tapio::spawn(sleeps_on_its_thread()).await?;
    IS_REPORTED.store(false, Relaxed);
    tapio::spawn(looks_at_the_clock()).await?;
    IS_REPORTED.store(false, Relaxed);
    tapio::spawn(computes()).await?;
    drop(reports);
    Ok(())
}
