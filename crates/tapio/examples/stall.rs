//! Tasks that are stuck, and what the guard says of them: the line, the cause,
//! what to do. Everything else goes on meanwhile.
//!
//! Run: `cargo run --release -p tapio --example stall`. The reports go to
//! standard error, and a line about each to standard output.

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
    while begin.elapsed() < Duration::from_millis(1) || !IS_REPORTED.load(Relaxed) {}
}

fn tell(stall: &Stall) {
    let cause = match &stall.cause {
        StallCause::Computing => "computing".into(),
        StallCause::Blocked(Some(call)) => format!("blocked in {call}"),
        _ => "stuck".into(),
    };
    let stack = stall.stack.as_ref();
    let frame = stack.and_then(|stack| stack.top_user_frame());
    match frame.and_then(|frame| frame.line) {
        Some(line) => println!("{cause} at line {line}"),
        None => println!("{cause} at a line that is not known"),
    }
}

#[tapio::main]
async fn main() -> Result<(), tapio::task::JoinError> {
    let reports = guard::on_report(|report| {
        eprintln!("{report}\n");
        if let Report::Stall(stall) = report
            && matches!(stall.culprit, Culprit::Task(_))
        {
            tell(stall);
            IS_REPORTED.store(true, Relaxed);
        }
    });
    tapio::spawn(sleeps_on_its_thread()).await?;
    IS_REPORTED.store(false, Relaxed);
    tapio::spawn(looks_at_the_clock()).await?;
    drop(reports);
    Ok(())
}
