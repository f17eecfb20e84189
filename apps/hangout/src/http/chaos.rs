//! Blocks a worker thread on purpose, to show what a program does when somebody does that by
//! mistake. Only with `--chaos`.

use std::time::{Duration, Instant};

use axum::Json;
use serde::{Deserialize, Serialize};

use super::input::Asked;
use crate::protocol::{Code, Problem};

const MOST_MS: u64 = 60_000;

#[derive(Deserialize)]
pub(super) struct Block {
    ms: u64,
    #[serde(default)]
    kind: Kind,
}

#[derive(Deserialize, Serialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Asleep in the kernel, as in a blocking system call.
    #[default]
    Sleep,
    /// Busy, as in a computation that was never meant for this thread.
    Spin,
}

#[derive(Serialize)]
pub(super) struct Blocked {
    blocked_ms: u128,
    kind: Kind,
    thread: Option<String>,
}

pub(super) async fn block(Asked(asked): Asked<Block>) -> Result<Json<Blocked>, Problem> {
    if asked.ms > MOST_MS {
        return Err(Problem::new(
            Code::BadRequest,
            format!("'ms' is at most {MOST_MS}"),
        ));
    }
    let (start, length) = (Instant::now(), Duration::from_millis(asked.ms));
    match asked.kind {
        Kind::Sleep => std::thread::sleep(length),
        Kind::Spin => {
            while start.elapsed() < length {
                std::hint::spin_loop();
            }
        }
    }
    Ok(Json(Blocked {
        blocked_ms: start.elapsed().as_millis(),
        kind: asked.kind,
        thread: std::thread::current().name().map(str::to_owned),
    }))
}
