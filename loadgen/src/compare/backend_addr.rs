//! Address of a backend, as each peer spells it. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Address on which a backend listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BackendAddr {
    Port(SocketAddr),
    /// Unix socket at this path.
    Socket(PathBuf),
}

impl BackendAddr {
    /// Address for a peer that writes `unix_prefix` in front of the path of a Unix socket.
    pub(crate) fn spelled(&self, unix_prefix: &str) -> String {
        match self {
            Self::Port(addr) => addr.to_string(),
            Self::Socket(path) => format!("{unix_prefix}{}", path.display()),
        }
    }

    /// Address for TCP; `None` for a Unix socket.
    pub(crate) fn port(&self) -> Option<SocketAddr> {
        match self {
            Self::Port(addr) => Some(*addr),
            Self::Socket(_) => None,
        }
    }
}
