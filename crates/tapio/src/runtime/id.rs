//! What tells runtimes apart.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A runtime's number, different from that of every other runtime and
/// [`LocalSet`](crate::task::LocalSet) that is there at the same time.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub struct Id(NonZeroUsize);

impl Id {
    /// The id of whatever keeps its state in `shared`: the address, which is
    /// nobody else's for as long as it is in use.
    pub(crate) fn of<T>(shared: &Arc<T>) -> Id {
        let address = Arc::as_ptr(shared).addr();
        Id(NonZeroUsize::new(address).expect("an `Arc` is never null"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
