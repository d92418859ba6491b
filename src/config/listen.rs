//! Sockets of a port, as typed: an address of TCP, a Unix socket, or both with a blank between
//! them.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use super::parsers::address;
use crate::wire::stream_addr::{StreamAddr, UNIX_PREFIX};
use crate::wire::unix_listener::{FileOwner, UnixListen};

/// Largest mode of a file: read, write and execute for user, group and others (chmod(2)).
const MAX_MODE: u32 = 0o777;

/// Sockets on which a port listens, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOn {
    /// Address of TCP.
    pub tcp: Option<SocketAddr>,
    /// Unix socket.
    pub unix: Option<UnixListen>,
}

impl ListenOn {
    /// Returns the addresses, that of TCP first.
    pub fn addrs(self) -> impl Iterator<Item = StreamAddr> {
        let unix = self.unix.map(|unix| StreamAddr::Unix(unix.path));
        self.tcp.map(StreamAddr::Tcp).into_iter().chain(unix)
    }

    /// Returns `true` if a process that listens on `bound` listens where these flags say. The
    /// system chooses a port for 0. Mode and owner of a Unix socket count when it is made.
    pub(crate) fn agrees_with(&self, bound: &Self) -> bool {
        let is_chosen = |addr: &SocketAddr| addr.port() == 0 && bound.tcp.is_some();
        let path = |on: &Self| on.unix.map(|unix| unix.path);
        (self.tcp == bound.tcp || self.tcp.as_ref().is_some_and(is_chosen))
            && path(self) == path(bound)
    }
}

/// Writes the value as it can be typed.
impl fmt::Display for ListenOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.tcp, &self.unix) {
            (Some(tcp), Some(unix)) => write!(f, "{tcp} {unix}"),
            (Some(tcp), None) => tcp.fmt(f),
            (None, Some(unix)) => unix.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

/// Parses the sockets of a port.
pub(super) fn listen_on(text: &str) -> Result<ListenOn, String> {
    let (mut tcp, mut unix) = (None, None);
    for word in text.split_ascii_whitespace() {
        let is_second = match word.strip_prefix(UNIX_PREFIX) {
            Some(socket) => unix.replace(unix_listen(socket)?).is_some(),
            None => tcp.replace(address(word)?).is_some(),
        };
        if is_second {
            return Err("must be one address and one Unix socket at most".to_owned());
        }
    }
    match (tcp, unix) {
        // The sentence about what an address is.
        (None, None) => address(text).map(|_| ListenOn { tcp, unix }),
        _ => Ok(ListenOn { tcp, unix }),
    }
}

/// Parses a Unix socket, where an address of TCP is refused.
pub(super) fn unix_only(text: &str) -> Result<UnixListen, String> {
    match text.strip_prefix(UNIX_PREFIX) {
        Some(socket) => unix_listen(socket),
        None => Err("must be unix:PATH: an address has no permissions".to_owned()),
    }
}

/// Parses `PATH[,mode=MODE][,owner=USER[:GROUP]]`.
fn unix_listen(text: &str) -> Result<UnixListen, String> {
    let mut words = text.split(',');
    let path = words.next().unwrap_or_default();
    let path = path.parse().map_err(|err| format!("{err}"))?;
    let (mut mode, mut owner) = (None, None);
    for word in words {
        let is_second = match word.split_once('=') {
            Some(("mode", value)) => mode.replace(parse_mode(value)?).is_some(),
            Some(("owner", value)) => owner.replace(FileOwner::from_str(value)?).is_some(),
            _ => {
                return Err(format!(
                    "{word} is neither mode=MODE nor owner=USER[:GROUP]"
                ));
            }
        };
        if is_second {
            return Err(format!("{word} is the second of its kind"));
        }
    }
    Ok(UnixListen { path, mode, owner })
}

/// Parses a mode in octal digits, such as 0660.
fn parse_mode(text: &str) -> Result<u32, String> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_number);
    let mode = mode.filter(|mode| *mode <= MAX_MODE);
    mode.ok_or_else(|| format!("mode={text} is no mode from 0 to 0777"))
}

/// Returns `true` if two sockets cannot listen on these addresses. `[::]` includes IPv4 (ipv6(7),
/// IPV6_V6ONLY).
pub(super) fn is_one_port(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |all: SocketAddr, one: SocketAddr| {
        all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4())
    };
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || covers(a, b) || covers(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_unix_socket_are_written_as_they_are_typed() {
        for text in [
            "127.0.0.1:5000",
            "unix:/run/a.sock",
            "[::]:0 unix:/run/a.sock,mode=0600,owner=0:0",
            "unix:/run/a.sock,owner=7",
        ] {
            assert_eq!(listen_on(text).unwrap().to_string(), text);
        }
        let named = listen_on("unix:/a,owner=root:root,mode=7").unwrap();
        assert_eq!(named.to_string(), "unix:/a,mode=0007,owner=0:0");
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, sentence) in [
            ("", "must be an IP address"),
            (" ", "must be an IP address"),
            ("unix:", "begins with /"),
            ("unix:@a", "abstract"),
            ("127.0.0.1:1 127.0.0.1:2", "one address and one Unix socket"),
            ("unix:/a unix:/b", "one address and one Unix socket"),
            ("unix:/a,mode=8", "no mode"),
            ("unix:/a,mode=1000", "no mode"),
            ("unix:/a,mode=+7", "no mode"),
            ("unix:/a,mode=", "no mode"),
            ("unix:/a,mode=1,mode=1", "second"),
            ("unix:/a,owner=no-such-user", "no user"),
            ("unix:/a,owner=4294967295", "no user"),
            ("unix:/a,owner=0:4294967295", "no group"),
            ("unix:/a,owner=root:no-such-group", "no group"),
            ("unix:/a,", "neither"),
            ("unix:/a,b=c", "neither"),
        ] {
            let err = listen_on(text).unwrap_err();
            assert!(err.contains(sentence), "{text:?}: {err}");
        }
    }

    #[test]
    fn an_address_is_no_unix_socket() {
        let socket = unix_only("unix:/run/a.sock,mode=0660").unwrap();
        assert_eq!(socket.to_string(), "unix:/run/a.sock,mode=0660");
        for bad in ["127.0.0.1:5000", "", "/run/a.sock", "unix:/a unix:/b"] {
            assert!(unix_only(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_of_0_agrees_with_any_and_a_socket_only_with_itself() {
        let on = |text: &str| listen_on(text).unwrap();
        for (flags, bound, agrees) in [
            ("127.0.0.1:0", "127.0.0.1:7", true),
            ("127.0.0.1:7", "127.0.0.1:8", false),
            ("127.0.0.1:0", "unix:/a", false),
            ("unix:/a", "unix:/a,mode=0600", true),
            ("unix:/a", "unix:/b", false),
            ("127.0.0.1:7", "127.0.0.1:7 unix:/a", false),
            ("127.0.0.1:0 unix:/a", "127.0.0.1:7 unix:/a", true),
        ] {
            assert_eq!(on(flags).agrees_with(&on(bound)), agrees, "{flags} {bound}");
        }
    }
}
