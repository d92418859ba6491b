//! Address of a stream socket: an IP address and a port, or the path of a Unix socket (unix(7)).
//!
//! A connection is a `TcpStream` with either kind of address, which `From<OwnedFd>` allows. Reads,
//! writes, readiness, MSG_PEEK, shutdown(2) and splice(2) are the same for all stream sockets. On a
//! Unix socket the options of TCP fail, SO_LINGER has no effect, and the standard library returns
//! an error for its address.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

/// Prefix of the address of a Unix socket, as typed.
pub const UNIX_PREFIX: &str = "unix:";
/// Longest path of a Unix socket in bytes: `sun_path` of unix(7) without its final zero.
pub const MAX_UNIX_PATH: usize = 107;

/// Address of a stream socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamAddr {
    /// Socket of TCP.
    Tcp(SocketAddr),
    /// Unix socket.
    Unix(UnixPath),
}

impl<T: Into<SocketAddr>> From<T> for StreamAddr {
    fn from(addr: T) -> Self {
        Self::Tcp(addr.into())
    }
}

impl StreamAddr {
    /// Returns the address of a TCP socket.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// Returns the path of a Unix socket.
    #[must_use]
    pub fn unix(&self) -> Option<&UnixPath> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }
}

impl fmt::Display for StreamAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => path.fmt(f),
        }
    }
}

/// Path of a Unix socket. It is stored in place, as in the kernel's `sockaddr_un`, so that an
/// address is copied as easily as that of a TCP socket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixPath {
    bytes: [u8; MAX_UNIX_PATH],
    len: u8,
}

/// Error for a text that is not the path of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUnixPath {
    /// The path is relative, or a folder.
    #[error("the path of a Unix socket begins with / and ends with a name: unix:/run/app.sock")]
    Form,
    /// An abstract socket, which has no permissions: every process of the network namespace may
    /// use its name.
    #[error("unix:@NAME, an abstract socket, is not supported: it has no permissions; give a path")]
    Abstract,
    /// A byte that lists, commands or log lines could not hold.
    #[error(
        "the path of a Unix socket has a blank, comma, quotation mark or byte that is not ASCII"
    )]
    Byte,
    /// The path is longer than the kernel's limit.
    #[error("the path of a Unix socket has {0} bytes, and the kernel allows {MAX_UNIX_PATH}")]
    Length(usize),
}

impl UnixPath {
    /// Returns the path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(self.as_str())
    }

    /// Returns `true` if both paths name one file: by their texts but for `//` and `/./`, or by the
    /// same name in the same folder, also by `..` or a symbolic link. A folder that is missing has
    /// no other path.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        let (one, other) = (self.as_path(), other.as_path());
        let folder = |path: &Path| path.parent()?.canonicalize().ok();
        one == other
            || one.file_name() == other.file_name()
                && folder(one).is_some_and(|at| folder(other) == Some(at))
    }

    fn as_str(&self) -> &str {
        // Only ASCII is accepted, so this never fails.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

/// Parses the path itself, without the prefix.
impl FromStr for UnixPath {
    type Err = BadUnixPath;

    fn from_str(path: &str) -> Result<Self, BadUnixPath> {
        if path.starts_with('@') {
            return Err(BadUnixPath::Abstract);
        }
        if !path.starts_with('/') || path.ends_with('/') {
            return Err(BadUnixPath::Form);
        }
        let legal = |b: u8| b.is_ascii_graphic() && !b",\"'\\".contains(&b);
        if !path.bytes().all(legal) {
            return Err(BadUnixPath::Byte);
        }
        let mut bytes = [0; MAX_UNIX_PATH];
        let room = bytes.get_mut(..path.len());
        let room = room.ok_or(BadUnixPath::Length(path.len()))?;
        room.copy_from_slice(path.as_bytes());
        let len = u8::try_from(path.len()).map_err(|_| BadUnixPath::Length(path.len()))?;
        Ok(Self { bytes, len })
    }
}

impl fmt::Display for UnixPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{UNIX_PREFIX}{}", self.as_str())
    }
}

impl fmt::Debug for UnixPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_at_most_107_bytes() {
        let long = |len: usize| format!("/{}", "x".repeat(len - 1));
        let longest: UnixPath = long(MAX_UNIX_PATH).parse().unwrap();
        assert_eq!(longest.as_path(), Path::new(&long(MAX_UNIX_PATH)));
        assert!(socket2::SockAddr::unix(longest.as_path()).is_ok());
        let parsed = long(MAX_UNIX_PATH + 1).parse::<UnixPath>();
        assert_eq!(parsed, Err(BadUnixPath::Length(MAX_UNIX_PATH + 1)));
        assert_eq!(long(300).parse::<UnixPath>(), Err(BadUnixPath::Length(300)));
    }

    #[test]
    fn a_path_is_absolute_and_fits_into_lists_and_lines() {
        for (text, expected) in [
            ("", BadUnixPath::Form),
            ("a.sock", BadUnixPath::Form),
            ("/run/", BadUnixPath::Form),
            ("@app", BadUnixPath::Abstract),
            ("/a b", BadUnixPath::Byte),
            ("/a\n", BadUnixPath::Byte),
            ("/a,b", BadUnixPath::Byte),
            ("/a\"b", BadUnixPath::Byte),
            ("/\u{e9}", BadUnixPath::Byte),
        ] {
            assert_eq!(text.parse::<UnixPath>(), Err(expected), "{text:?}");
        }
        let addr = StreamAddr::Unix("/run/a:b;c".parse().unwrap());
        assert_eq!(addr.to_string(), "unix:/run/a:b;c");
    }
}
