//! The lock budget, as what is looked at uses it.

use std::time::Duration;

use crate::report::{LOCK_BUDGET, lock_budget};

/// For how long a lock may be kept from others, and the default for what is
/// looked at even when that is off.
pub(super) fn get() -> Duration {
    let budget = lock_budget();
    if budget.is_zero() {
        LOCK_BUDGET
    } else {
        budget
    }
}

/// After how long a circle that is not proved is told.
pub(super) fn lasting() -> Duration {
    get()
}

pub(super) fn is_off() -> bool {
    lock_budget().is_zero()
}
