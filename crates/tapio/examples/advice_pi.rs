//! Digits of pi, computed on the loop: async makes computation no faster, and
//! `guard::advice` says so.
//!
//! Run: `cargo run -p tapio --example advice_pi`, with `TAPIO_ADVICE=1` for
//! the whole advice at the end.

#![expect(clippy::print_stdout, reason = "it shows what the guard found")]

use std::time::{Duration, Instant};

use tapio::guard;
use tapio::task::yield_now;

#[tapio::main]
async fn main() -> Result<(), tapio::task::JoinError> {
    let line = line!() + 1;
    let digits = tapio::spawn(compute_for(Duration::from_secs(1))).await?;
    println!("pi begins with {}.{}", &digits[..1], &digits[1..50]);

    let advice = guard::advice();
    match advice.site(file!(), line) {
        Some(site) => println!("the task that found out: {}", site.verdict),
        None => println!("the guard has not seen the task"),
    }
    Ok(())
}

/// The digits of pi, again and again and more each time, for a while.
async fn compute_for(time: Duration) -> String {
    let begin = Instant::now();
    let mut count = 100;
    let mut digits = String::new();
    while begin.elapsed() < time || !guard::advice().is_enough {
        digits = digits_of_pi(count);
        // It gives way between steps, which lets others run and makes nothing
        // faster.
        yield_now().await;
        count = (count + 100).min(400);
    }
    digits
}

/// The spigot of Rabinowitz and Wagon.
fn digits_of_pi(count: usize) -> String {
    let mut remainders = vec![2_u32; count * 10 / 3 + 1];
    let mut digits = String::new();
    // A digit is held back until no carry can change it any more.
    let (mut held, mut nines) = (None::<u32>, 0);
    while digits.len() < count {
        let mut carry = 0;
        for (index, remainder) in remainders.iter_mut().enumerate().rev() {
            let place = index as u32 + 1;
            let sum = *remainder * 10 + carry * place;
            *remainder = sum % (2 * place - 1);
            carry = sum / (2 * place - 1);
        }
        remainders[0] = carry % 10;
        let next = carry / 10;
        if next == 9 {
            nines += 1;
            continue;
        }
        let (more, filler) = if next == 10 { (1, "0") } else { (0, "9") };
        if let Some(held) = held {
            digits += &(held + more).to_string();
            digits += &filler.repeat(nines);
        }
        (held, nines) = (Some(next % 10), 0);
    }
    digits
}
