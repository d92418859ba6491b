//! Address of the client at the other end of an accepted connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use socket2::{Domain, SockRef};

/// Address of a client. That of a Unix socket has none: it is bound to no path as a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddr {
    /// Client of a TCP socket.
    Tcp(SocketAddr),
    /// Client of a Unix socket, which is on this machine.
    Unix,
}

impl PeerAddr {
    /// Returns the address of the peer of `socket`.
    ///
    /// # Errors
    /// The error of getpeername(2): the peer has gone.
    pub fn of(socket: &impl AsFd) -> io::Result<Self> {
        let addr = SockRef::from(socket).peer_addr()?;
        Ok(addr.as_socket().map_or(Self::Unix, Self::Tcp))
    }

    /// Returns the IP address, in its IPv4 form if it has one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(addr) => Some(addr.ip().to_canonical()),
            Self::Unix => None,
        }
    }

    /// Returns the address with its IP address in its IPv4 form if it has one.
    #[must_use]
    pub fn to_canonical(self) -> Self {
        match self {
            Self::Tcp(addr) => Self::Tcp((addr.ip().to_canonical(), addr.port()).into()),
            Self::Unix => Self::Unix,
        }
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// Returns `true` for a Unix socket.
#[must_use]
pub fn is_unix(socket: &impl AsFd) -> bool {
    SockRef::from(socket)
        .domain()
        .is_ok_and(|domain| domain == Domain::UNIX)
}
