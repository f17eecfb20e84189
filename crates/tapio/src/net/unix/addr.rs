//! The address of a Unix socket.

use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::Path;

use rustix::net::SocketAddrUnix;
use socket2::SockAddr;

/// The address of a Unix socket: a path, a name in the abstract namespace, or
/// none.
///
/// It converts from and into the standard library's.
#[derive(Clone)]
pub struct SocketAddr(net::SocketAddr);

impl SocketAddr {
    /// Whether the socket has no address: it was never bound.
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// The path, if that is what the address is.
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// The name in the abstract namespace, without the zero byte, if that is
    /// what the address is.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        self.0.as_abstract_name()
    }

    /// The address that `path` names: abstract if it begins with a zero byte.
    pub(super) fn named(path: &Path) -> io::Result<SocketAddr> {
        match path.as_os_str().as_bytes() {
            [0, name @ ..] => net::SocketAddr::from_abstract_name(name),
            _ => net::SocketAddr::from_pathname(path),
        }
        .map(SocketAddr)
    }

    /// The address in the form that system calls take.
    pub(super) fn to_system(&self) -> io::Result<SocketAddrUnix> {
        if let Some(path) = self.as_pathname() {
            Ok(SocketAddrUnix::new(path)?)
        } else if let Some(name) = self.as_abstract_name() {
            Ok(SocketAddrUnix::new_abstract_name(name)?)
        } else {
            Ok(SocketAddrUnix::new_unnamed())
        }
    }

    /// The address that a system call gave: none for a socket that was never
    /// bound. A path that fills `sun_path` to the last byte is the kernel's to
    /// know: the standard library makes no such address, so it counts as none.
    pub(super) fn from_system(addr: &SockAddr) -> io::Result<SocketAddr> {
        if let Some(name) = addr.as_abstract_namespace() {
            return net::SocketAddr::from_abstract_name(name).map(SocketAddr);
        }
        let path = addr.as_pathname().unwrap_or(Path::new(""));
        net::SocketAddr::from_pathname(path)
            .or_else(|_| net::SocketAddr::from_pathname(""))
            .map(SocketAddr)
    }

    pub(super) fn std(&self) -> &net::SocketAddr {
        &self.0
    }
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<net::SocketAddr> for SocketAddr {
    fn from(addr: net::SocketAddr) -> SocketAddr {
        SocketAddr(addr)
    }
}

impl From<SocketAddr> for net::SocketAddr {
    fn from(addr: SocketAddr) -> net::SocketAddr {
        addr.0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;

    use socket2::{Domain, SockAddr, Socket, Type};

    use super::SocketAddr;

    /// What a socket bound to `path` tells of its address.
    fn bound(path: &Path) -> SocketAddr {
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        let addr = SocketAddr::named(path).unwrap();
        rustix::net::bind(&socket, &addr.to_system().unwrap()).unwrap();
        SocketAddr::from_system(&socket.local_addr().unwrap()).unwrap()
    }

    #[test]
    fn addresses_survive_the_way_through_the_system() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.sock");
        assert_eq!(bound(&path).as_pathname(), Some(&*path));
        let name = format!("\0tapio addr {}", std::process::id());
        let addr = bound(Path::new(&name));
        assert_eq!(addr.as_abstract_name(), Some(&name.as_bytes()[1..]));
        // Unnamed to us; the kernel gives it a name of its own.
        let none = SocketAddr::from(UnixDatagram::unbound().unwrap().local_addr().unwrap());
        assert!(none.is_unnamed());
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        let unnamed = socket.local_addr().unwrap();
        assert!(SocketAddr::from_system(&unnamed).unwrap().is_unnamed());
        rustix::net::bind(&socket, &none.to_system().unwrap()).unwrap();
        let given = SocketAddr::from_system(&socket.local_addr().unwrap()).unwrap();
        assert!(
            given
                .as_abstract_name()
                .is_some_and(|name| !name.is_empty())
        );
    }

    #[test]
    fn the_longest_path_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let stem = dir.path().to_str().unwrap();
        for length in [107, 108] {
            let path = format!("{stem}/{}", "x".repeat(length - stem.len() - 1));
            let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
            let addr = rustix::net::SocketAddrUnix::new(&*path).unwrap();
            rustix::net::bind(&socket, &addr).unwrap();
            let addr: SockAddr = socket.local_addr().unwrap();
            let addr = SocketAddr::from_system(&addr).unwrap();
            assert_eq!(addr.is_unnamed(), length == 108);
        }
    }

    #[test]
    fn a_path_too_long_is_refused() {
        assert!(SocketAddr::named(Path::new(&"x".repeat(200))).is_err());
    }
}
