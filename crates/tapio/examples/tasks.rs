//! Three tasks beside one another, and what they give back.
//!
//! Run: `cargo run -p tapio --example tasks`

#![expect(clippy::print_stdout, reason = "it shows what came back")]

use std::time::Duration;

use tapio::task::JoinSet;
use tapio::time::{sleep, timeout};

#[tapio::main]
async fn main() -> Result<(), tapio::task::JoinError> {
    let mut squares = JoinSet::new();
    for number in 1..=3_u64 {
        squares.spawn(async move {
            sleep(Duration::from_millis(5 * number)).await;
            number * number
        });
    }
    while let Some(square) = squares.join_next().await {
        println!("{}", square?);
    }

    let slow = timeout(Duration::from_millis(1), std::future::pending::<()>()).await;
    println!("{}", slow.unwrap_err());
    Ok(())
}
