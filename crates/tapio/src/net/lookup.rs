//! Names into addresses.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;

use crate::net::addr::{self, ToSocketAddrs};

/// Looks a host up, as the system resolves names.
///
/// Waits for `getaddrinfo` on a thread of the blocking pool; an address that
/// needs no lookup is answered at once. The iterator may be empty.
///
/// # Errors
/// What the resolver answers, with the name that was asked for.
///
/// # Panics
/// If a lookup is needed outside a runtime.
///
/// # Cancel safety
/// Dropping the future loses nothing; a lookup that has begun ends by itself.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = tapio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// for address in tapio::net::lookup_host("127.0.0.1:3000").await? {
///     assert_eq!(address.port(), 3000);
/// }
/// # std::io::Result::Ok(())
/// # })
/// # }
/// ```
#[track_caller]
pub fn lookup_host<T>(host: T) -> impl Future<Output = io::Result<impl Iterator<Item = SocketAddr>>>
where
    T: ToSocketAddrs,
{
    let at = Location::caller();
    async move { addr::resolve(addr::target(host), at).await }
}
