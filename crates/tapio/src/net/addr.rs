//! What a caller may name as an address, and its way to socket addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::panic::Location;

use self::sealed::{Internal, Target};
use crate::task::spawn_blocking_at;

/// Something that stands for one or more socket addresses.
///
/// Addresses are themselves; a `(host, port)` pair or a `"host:port"` string
/// is resolved as the system resolves names (`getaddrinfo`), on the pool for
/// blocking calls. A host that is an IP address in letters is not looked up.
///
/// The trait is sealed: it is implemented here for the types below and cannot
/// be implemented elsewhere. To resolve a name for its own sake, see
/// [`lookup_host`](crate::net::lookup_host).
pub trait ToSocketAddrs: sealed::ToTarget {}

/// The addresses that something stands for.
#[derive(Debug)]
pub(crate) enum Addrs {
    /// At most one, without an allocation: `send_to` comes by here each time.
    One(Option<SocketAddr>),
    Many(std::vec::IntoIter<SocketAddr>),
}

impl Iterator for Addrs {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match self {
            Addrs::One(addr) => addr.take(),
            Addrs::Many(addrs) => addrs.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Addrs::One(addr) => (addr.is_some().into(), Some(addr.is_some().into())),
            Addrs::Many(addrs) => addrs.size_hint(),
        }
    }
}

/// The addresses for `target`, looked up where they must be. Reports name `at`
/// as the place that asked.
pub(crate) async fn resolve(target: Target, at: &'static Location<'static>) -> io::Result<Addrs> {
    let (name, port) = match target {
        Target::One(addr) => return Ok(Addrs::One(Some(addr))),
        Target::Many(addrs) => return Ok(Addrs::Many(addrs.into_iter())),
        Target::Name(name, port) => (name, port),
    };
    // In a tuple: a lookup that nobody waits for any more has no error to lose.
    let (found,) = spawn_blocking_at(move || (look_up(&name, port),), at).await?;
    found
}

/// What `addr` stands for, before anything is looked up.
pub(crate) fn target(addr: impl ToSocketAddrs) -> Target {
    addr.target(Internal)
}

/// The error for a name that stands for no address at all.
pub(crate) fn no_address() -> io::Error {
    let message = "the name could not be resolved to any address";
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Tries `attempt` on each address until one works; the last error otherwise.
pub(crate) fn first_that<T>(
    addrs: Addrs,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for addr in addrs {
        match attempt(addr) {
            Ok(done) => return Ok(done),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_address))
}

fn look_up(name: &str, port: Option<u16>) -> io::Result<Addrs> {
    use std::net::ToSocketAddrs;
    let found = match port {
        Some(port) => (name, port).to_socket_addrs(),
        None => name.to_socket_addrs(),
    };
    let found = found.map(Addrs::Many);
    // The resolver does not say what it was asked. An error of the system's
    // own keeps its number instead, which somebody may match on.
    found.map_err(|error| match error.raw_os_error() {
        Some(_) => error,
        None => io::Error::new(error.kind(), format!("cannot resolve {name:?}: {error}")),
    })
}

pub(crate) mod sealed {
    use std::net::SocketAddr;

    /// What is asked for: addresses, or a name that must be looked up.
    #[derive(Debug)]
    #[expect(unnameable_types, reason = "part of a sealed trait")]
    pub enum Target {
        /// An address.
        One(SocketAddr),
        /// Several, to be tried in turn.
        Many(Vec<SocketAddr>),
        /// A host with its port, or both in one string.
        Name(String, Option<u16>),
    }

    /// Keeps the trait's method from being called elsewhere.
    #[derive(Debug)]
    #[expect(unnameable_types, reason = "part of a sealed trait")]
    pub struct Internal;

    /// The sealed half of [`ToSocketAddrs`](super::ToSocketAddrs).
    #[expect(unnameable_types, reason = "this is what seals the trait")]
    pub trait ToTarget {
        /// What this stands for.
        fn target(&self, _: Internal) -> Target;
    }
}

use self::sealed::ToTarget;

fn one(addr: impl Into<SocketAddr>) -> Target {
    Target::One(addr.into())
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}
impl<T: ToTarget + ?Sized> ToTarget for &T {
    fn target(&self, _: Internal) -> Target {
        (**self).target(Internal)
    }
}

impl ToSocketAddrs for SocketAddr {}
impl ToTarget for SocketAddr {
    fn target(&self, _: Internal) -> Target {
        one(*self)
    }
}

impl ToSocketAddrs for SocketAddrV4 {}
impl ToTarget for SocketAddrV4 {
    fn target(&self, _: Internal) -> Target {
        one(*self)
    }
}

impl ToSocketAddrs for SocketAddrV6 {}
impl ToTarget for SocketAddrV6 {
    fn target(&self, _: Internal) -> Target {
        one(*self)
    }
}

impl ToSocketAddrs for (IpAddr, u16) {}
impl ToTarget for (IpAddr, u16) {
    fn target(&self, _: Internal) -> Target {
        one(*self)
    }
}

impl ToSocketAddrs for (Ipv4Addr, u16) {}
impl ToTarget for (Ipv4Addr, u16) {
    fn target(&self, _: Internal) -> Target {
        one(*self)
    }
}

impl ToSocketAddrs for (Ipv6Addr, u16) {}
impl ToTarget for (Ipv6Addr, u16) {
    fn target(&self, _: Internal) -> Target {
        one(*self)
    }
}

impl ToSocketAddrs for &[SocketAddr] {}
impl ToTarget for &[SocketAddr] {
    fn target(&self, _: Internal) -> Target {
        Target::Many(self.to_vec())
    }
}

impl ToSocketAddrs for str {}
impl ToTarget for str {
    fn target(&self, _: Internal) -> Target {
        match self.parse::<SocketAddr>() {
            Ok(addr) => one(addr),
            Err(_) => Target::Name(self.to_owned(), None),
        }
    }
}

impl ToSocketAddrs for (&str, u16) {}
impl ToTarget for (&str, u16) {
    fn target(&self, _: Internal) -> Target {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => one((ip, port)),
            Err(_) => Target::Name(host.to_owned(), Some(port)),
        }
    }
}

impl ToSocketAddrs for String {}
impl ToTarget for String {
    fn target(&self, _: Internal) -> Target {
        self.as_str().target(Internal)
    }
}

impl ToSocketAddrs for (String, u16) {}
impl ToTarget for (String, u16) {
    fn target(&self, _: Internal) -> Target {
        (self.0.as_str(), self.1).target(Internal)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddr};

    use super::sealed::Target;
    use super::{look_up, target};

    fn addrs(target: Target) -> Vec<SocketAddr> {
        match target {
            Target::One(addr) => vec![addr],
            Target::Many(addrs) => addrs,
            Target::Name(name, _) => panic!("{name} would be looked up"),
        }
    }

    #[test]
    fn addresses_in_letters_are_not_looked_up() {
        let expected: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert_eq!(addrs(target("127.0.0.1:80")), [expected]);
        assert_eq!(addrs(target(("127.0.0.1", 80))), [expected]);
        assert_eq!(addrs(target("127.0.0.1:80".to_owned())), [expected]);
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
        assert_eq!(addrs(target("[::1]:80")), [six]);
        assert_eq!(addrs(target(("::1", 80))), [six]);
        let both = [expected, six];
        assert_eq!(addrs(target(&both[..])), both);
    }

    #[test]
    fn a_name_is_kept_for_the_lookup() {
        assert!(matches!(target("localhost:1"), Target::Name(name, None) if name == "localhost:1"));
        assert!(
            matches!(target(("localhost", 1)), Target::Name(name, Some(1)) if name == "localhost")
        );
    }

    #[test]
    fn a_failed_lookup_says_what_was_asked() {
        let error = look_up("no port here", None).unwrap_err();
        assert!(error.to_string().contains("no port here"), "{error}");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}
