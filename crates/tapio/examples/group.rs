//! A group of tasks that ends as one: results as they come, the first error,
//! a deadline.
//!
//! Run: `cargo run -p tapio --example group`

#![expect(clippy::print_stdout, reason = "it shows what came back")]

use std::time::Duration;

use tapio::task::{Failure, GroupError, TaskGroup};
use tapio::time::sleep;

/// Shops answer later the farther they are; the fourth is closed, and what is
/// beyond never answers.
async fn price(shop: u64) -> Result<u64, String> {
    match shop {
        1..=3 => sleep(Duration::from_millis(5 * shop)).await,
        4 => return Err(format!("shop {shop} is closed")),
        _ => std::future::pending().await,
    }
    Ok(100 - 10 * shop)
}

async fn cheapest(shops: std::ops::RangeInclusive<u64>) -> Result<u64, GroupError<String>> {
    TaskGroup::scope(async |group| {
        group.limit(3);
        group.timeout(Duration::from_secs(10));
        for shop in shops {
            group.spawn(price(shop));
        }
        let (mut offers, mut cheapest) = (0, u64::MAX);
        while let Some(price) = group.next().await {
            offers += 1;
            cheapest = cheapest.min(price);
        }
        println!("{offers} offers");
        Ok(cheapest)
    })
    .await
}

#[tapio::main]
async fn main() -> Result<(), GroupError<String>> {
    println!("cheapest: {}", cheapest(1..=3).await?);

    // Its error cancels the others, and nothing is left of them here.
    let failed = tapio::spawn(cheapest(4..=6)).await.expect("no panic");
    println!("{:?}", failed.map_err(GroupError::into_error));

    let late = TaskGroup::scope(async |group: TaskGroup<(), String>| {
        group.timeout(Duration::from_millis(5));
        for _ in 0..3 {
            group.spawn(std::future::pending());
        }
        Ok(group.all().await)
    });
    if let Failure::TimedOut { left, .. } = late.await.unwrap_err().first() {
        let (place, count) = left[0];
        println!("too late: {count} of line {} are left", place.line());
    }
    Ok(())
}
