//! The address of a Unix socket.

use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::Path;

use rustix::net::{SocketAddrAny, SocketAddrUnix};

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

    /// The address that a system call gave, if it gave one: the sender of a
    /// datagram that was never bound has none.
    pub(super) fn from_system(addr: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
        let addr = match addr {
            Some(addr) => SocketAddrUnix::try_from(addr)?,
            None => SocketAddrUnix::new_unnamed(),
        };
        let addr = if let Some(path) = addr.path() {
            net::SocketAddr::from_pathname(Path::new(std::ffi::OsStr::from_bytes(path.to_bytes())))
        } else if let Some(name) = addr.abstract_name() {
            net::SocketAddr::from_abstract_name(name)
        } else {
            net::SocketAddr::from_pathname("")
        };
        addr.map(SocketAddr)
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

    use super::SocketAddr;

    /// To the system and back.
    fn round(addr: &SocketAddr) -> SocketAddr {
        SocketAddr::from_system(Some(addr.to_system().unwrap().into())).unwrap()
    }

    #[test]
    fn addresses_survive_the_way_through_the_system() {
        let path = SocketAddr::named(Path::new("/run/some.sock")).unwrap();
        assert_eq!(
            round(&path).as_pathname(),
            Some(Path::new("/run/some.sock"))
        );
        let name = SocketAddr::named(Path::new("\0some name")).unwrap();
        assert_eq!(round(&name).as_abstract_name(), Some(&b"some name"[..]));
        let none = SocketAddr::from(UnixDatagram::unbound().unwrap().local_addr().unwrap());
        assert!(round(&none).is_unnamed());
        assert!(SocketAddr::from_system(None).unwrap().is_unnamed());
        let longest = "x".repeat(107);
        let path = SocketAddr::named(Path::new(&longest)).unwrap();
        assert_eq!(round(&path).as_pathname(), Some(Path::new(&longest)));
    }

    #[test]
    fn a_path_too_long_is_refused() {
        assert!(SocketAddr::named(Path::new(&"x".repeat(200))).is_err());
    }
}
