//! For how long a lock may be kept from others before that is reported.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tapio_driver::PerProcess;

pub(crate) const LOCK_BUDGET: Duration = Duration::from_secs(1);

/// In milliseconds; zero for off.
static BUDGET: PerProcess<AtomicU64> = PerProcess::new(|inherited| {
    if let Some(budget) = inherited {
        return AtomicU64::new(budget.load(Ordering::Relaxed));
    }
    let text = std::env::var("TAPIO_LOCK_MS").unwrap_or_default();
    AtomicU64::new(text.parse().unwrap_or_else(|_| {
        if !text.is_empty() {
            tracing::warn!("TAPIO_LOCK_MS={text:?} is no number of milliseconds");
        }
        LOCK_BUDGET.as_millis() as u64
    }))
});

/// Sets for how long a lock of [`sync`](crate::sync) may be kept from others
/// before that is reported; one second unless `TAPIO_LOCK_MS` says otherwise.
///
/// It goes for the whole process, since locks belong to no runtime. A zero
/// turns off [`LockHeld`](crate::guard::LockHeld) and
/// [`Futurelock`](crate::guard::Futurelock). Less than a millisecond is a
/// millisecond.
pub fn set_lock_budget(budget: Duration) {
    let millis = if budget.is_zero() {
        0
    } else {
        u64::try_from(budget.as_millis()).unwrap_or(u64::MAX).max(1)
    };
    // Relaxed: no other memory hangs on it.
    BUDGET.store(millis, Ordering::Relaxed);
}

/// For how long a lock may be kept from others; zero if that is not watched.
/// See [`set_lock_budget`].
#[must_use]
pub fn lock_budget() -> Duration {
    // At most a year, so that it can be added to any time.
    const MAX: u64 = 365 * 24 * 3600 * 1000;
    Duration::from_millis(BUDGET.load(Ordering::Relaxed).min(MAX))
}
