//! Address of a fixed backend, as typed: `HOST:PORT` or `unix:PATH`. Checked once, here; the host
//! is looked up elsewhere.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use crate::ring::{Seat, Weight};
use crate::roster::{ReplicaAddr, ReplicaName};
use crate::wire::stream_addr::{BadUnixPath, StreamAddr, UNIX_PREFIX, UnixPath};

/// Longest host name, in bytes (RFC 1123 §2.1).
const MAX_HOST: usize = 255;

/// Address of a fixed backend: an IP address or a name, and a port; or the path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendAddr(Arc<str>);

/// Error for a text that is not the address of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBackendAddr {
    /// The host or the port is missing or illegal.
    #[error("the address is not HOST:PORT or unix:PATH")]
    Form,
    /// The host is an IPv6 address without brackets, so that its port cannot be told from it.
    #[error("the address is not HOST:PORT; an IPv6 address needs brackets: [::1]:80")]
    Brackets,
    /// The path of a Unix socket is not one.
    #[error(transparent)]
    Unix(#[from] BadUnixPath),
}

impl BackendAddr {
    /// Returns the address if there is nothing to look up: its host is an IP address, or it is a
    /// Unix socket.
    #[must_use]
    pub fn literal(&self) -> Option<ReplicaAddr> {
        let addr = match self.0.strip_prefix(UNIX_PREFIX) {
            Some(path) => StreamAddr::Unix(path.parse().ok()?),
            None => self.0.parse::<SocketAddr>().ok()?.into(),
        };
        Some(ReplicaAddr(addr))
    }

    /// Returns the host without its port; an IPv6 address keeps its brackets. A Unix socket has
    /// none.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(host, _)| host)
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.0.rsplit_once(':').map(|(_, port)| port.parse());
        port.and_then(Result::ok).unwrap_or_default()
    }
}

impl FromStr for BackendAddr {
    type Err = BadBackendAddr;

    fn from_str(text: &str) -> Result<Self, BadBackendAddr> {
        if let Some(path) = text.strip_prefix(UNIX_PREFIX) {
            path.parse::<UnixPath>()?;
            return Ok(Self(text.into()));
        }
        let (host, port) = text.rsplit_once(':').ok_or(BadBackendAddr::Form)?;
        let is_port = port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0);
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let is_name = !host.is_empty() && host.len() <= MAX_HOST && host.bytes().all(legal);
        match is_port && (is_name || text.parse::<SocketAddr>().is_ok()) {
            true => Ok(Self(text.into())),
            false if host.contains(':') && !host.contains('[') => Err(BadBackendAddr::Brackets),
            false => Err(BadBackendAddr::Form),
        }
    }
}

impl fmt::Display for BackendAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A fixed backend in its seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSeat {
    /// The seat.
    pub seat: Seat,
    /// Name of the backend.
    pub name: ReplicaName,
    /// Its address, as typed.
    pub addr: BackendAddr,
    /// Weight of its seat.
    pub weight: Weight,
}

impl BackendSeat {
    /// Returns these backends in seats 1, 2, 3 …
    pub fn in_first_seats(backends: &[(ReplicaName, BackendAddr, Weight)]) -> Vec<Self> {
        let seats = (1..).map(Seat).zip(backends);
        let backends = seats.map(|(seat, (name, addr, weight))| Self {
            seat,
            name: name.clone(),
            addr: addr.clone(),
            weight: *weight,
        });
        backends.collect()
    }

    /// Returns `backends` in the seats that `known` gives their names, and new names in the lowest
    /// free seats.
    pub fn in_seats_of(backends: &[Self], known: &[Self]) -> Vec<Self> {
        let seat_of = |name: &ReplicaName| {
            let known = known.iter().find(|backend| backend.name == *name);
            known.map(|backend| backend.seat)
        };
        let taken: Vec<Seat> = backends.iter().filter_map(|it| seat_of(&it.name)).collect();
        let mut free = (1..).map(Seat).filter(|seat| !taken.contains(seat));
        let seated = backends.iter().map(|backend| Self {
            seat: seat_of(&backend.name)
                .or_else(|| free.next())
                .unwrap_or(backend.seat),
            ..backend.clone()
        });
        seated.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_keeps_its_seat_and_a_new_one_takes_the_lowest_free() {
        let list = |names: &[&str]| {
            let named = names.iter().map(|name| {
                let addr = "127.0.0.1:80".parse().unwrap();
                (name.parse().unwrap(), addr, Weight::ONE)
            });
            BackendSeat::in_first_seats(&named.collect::<Vec<_>>())
        };
        let known = list(&["a", "b", "c", "d"]);
        for (now, seats) in [
            (&["b", "c", "d"][..], &[2, 3, 4][..]),
            (&["d", "c", "b", "a"], &[4, 3, 2, 1]),
            (&["b", "e", "d", "f", "g"], &[2, 1, 4, 3, 5]),
            (&["e"], &[1]),
        ] {
            let seated = BackendSeat::in_seats_of(&list(now), &known);
            let found: Vec<u32> = seated.iter().map(|backend| backend.seat.0).collect();
            assert_eq!(found, seats, "{now:?}");
        }
    }

    #[test]
    fn names_and_ip_addresses_with_a_port_are_backends() {
        for (text, host, is_literal) in [
            ("web-0.web:5000", "web-0.web", false),
            ("_http._tcp.web:80", "_http._tcp.web", false),
            ("127.0.0.1:80", "127.0.0.1", true),
            ("[::1]:65535", "[::1]", true),
        ] {
            let addr: BackendAddr = text.parse().unwrap();
            assert_eq!((addr.host(), addr.literal().is_some()), (host, is_literal));
            assert!(text.ends_with(&format!(":{}", addr.port())), "{addr}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let unix: BackendAddr = "unix:/run/a.sock".parse().unwrap();
        assert_eq!(unix.literal().unwrap().to_string(), "unix:/run/a.sock");
        let long = format!("{}:80", "a".repeat(MAX_HOST + 1));
        for text in [
            "",
            ":",
            "web",
            "web:",
            ":80",
            "web:0",
            "web:65536",
            "web:+80",
            "web:80 ",
            "we b:80",
            "a/b:80",
            "a\n:80",
            "[web]:80",
            "[::1:80",
            "wéb:80",
            "web:80:",
            "unix:80",
            "unix:@app",
            "unix:a.sock",
            &long,
        ] {
            assert!(text.parse::<BackendAddr>().is_err(), "{text:?}");
        }
        assert_eq!(
            "::1:80".parse::<BackendAddr>(),
            Err(BadBackendAddr::Brackets)
        );
    }
}
