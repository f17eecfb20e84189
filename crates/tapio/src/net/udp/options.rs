//! What can be set on a UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use socket2::SockRef;

use crate::net::UdpSocket;

/// A getter and a setter for one option, under tokio's names, which the
/// standard library or `socket2` implements under the same.
macro_rules! option {
    ($(#[$doc:meta])* $get:ident, $set:ident, $type:ty, $socket:ident => $their:expr) => {
        impl UdpSocket {
            $(#[$doc])*
            ///
            /// # Errors
            /// What the kernel answers.
            pub fn $get(&self) -> io::Result<$type> {
                let $socket = self;
                $their.$get()
            }

            #[doc = concat!("Sets what [`", stringify!($get), "`](Self::", stringify!($get), ") tells.")]
            ///
            /// # Errors
            /// What the kernel answers.
            pub fn $set(&self, value: $type) -> io::Result<()> {
                let $socket = self;
                $their.$set(value)
            }
        }
    };
}

option! {
    /// Whether datagrams may be sent to broadcast addresses (`SO_BROADCAST`).
    broadcast, set_broadcast, bool, socket => socket.io.get()
}
option! {
    /// Whether this machine hears its own IPv4 multicasts (`IP_MULTICAST_LOOP`).
    multicast_loop_v4, set_multicast_loop_v4, bool, socket => socket.io.get()
}
option! {
    /// How many hops IPv4 multicasts may take (`IP_MULTICAST_TTL`).
    multicast_ttl_v4, set_multicast_ttl_v4, u32, socket => socket.io.get()
}
option! {
    /// Whether this machine hears its own IPv6 multicasts
    /// (`IPV6_MULTICAST_LOOP`).
    multicast_loop_v6, set_multicast_loop_v6, bool, socket => socket.io.get()
}
option! {
    /// The time to live of packets that this socket sends (`IP_TTL`).
    ttl, set_ttl, u32, socket => socket.io.get()
}
option! {
    /// The traffic class of IPv6 packets (`IPV6_TCLASS`).
    tclass_v6, set_tclass_v6, u32, socket => SockRef::from(socket)
}
option! {
    /// The type of service of IPv4 packets (`IP_TOS`).
    tos_v4, set_tos_v4, u32, socket => SockRef::from(socket)
}

impl UdpSocket {
    #[deprecated = "the option is IPv4's own: use `tos_v4`"]
    #[doc(hidden)]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    #[deprecated = "the option is IPv4's own: use `set_tos_v4`"]
    #[doc(hidden)]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }

    /// The name of the network device that the socket is bound to
    /// (`SO_BINDTODEVICE`), if it is bound to one.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        SockRef::from(self).device()
    }

    /// Binds the socket to a network device (`SO_BINDTODEVICE`), or to none.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        SockRef::from(self).bind_device(interface)
    }

    /// Joins an IPv4 multicast group on the device with the address
    /// `interface`; an unspecified address lets the system choose.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.get().join_multicast_v4(&multiaddr, &interface)
    }

    /// Joins an IPv6 multicast group on the device number `interface`; zero
    /// lets the system choose.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a group that was joined by
    /// [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.get().leave_multicast_v4(&multiaddr, &interface)
    }

    /// Leaves a group that was joined by
    /// [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get().leave_multicast_v6(multiaddr, interface)
    }
}
