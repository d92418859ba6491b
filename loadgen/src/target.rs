//! Target of the requests: `http://host[:port]`. The path is a separate flag (`--path`), and TLS is
//! not supported.
//!
//! A name is resolved once, before the load, so that all requests go to one address.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time limit of the first connection, name resolution included.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);

/// A parsed target URL. Parsing does not resolve or connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Host and port as typed: the value of the Host field.
    pub(crate) authority: String,
    host: String,
    port: u16,
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("https://") {
            return Err("loadgen speaks no TLS; a target begins with http://");
        }
        let rest = text
            .strip_prefix("http://")
            .ok_or("a target begins with http://")?;
        // `http://host/` names the same target.
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if !authority.bytes().all(plain) {
            return Err("a target is http://host[:port], without path, query or user");
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            None => 80,
            Some(digits) => port_number(digits).ok_or("a port is a number from 1 to 65535")?,
        };
        Ok(Self {
            authority: authority.to_owned(),
            host: host.to_owned(),
            port,
        })
    }
}

/// Splits `host:port`, `host`, `[v6]:port` and `[v6]`; returns the host without brackets.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("a [ without its ]")?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err("a port follows a colon"),
            }
        }
        None => match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err("an IPv6 address needs [ ]"),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("a target needs a host");
    }
    Ok((host, port))
}

/// Parses a port above 0. `parse` alone would accept `+5`.
fn port_number(digits: &str) -> Option<u16> {
    let all = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| all && *port > 0)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

impl Target {
    /// Returns the target at `addr`.
    pub(crate) fn from_addr(addr: SocketAddr) -> Self {
        Self {
            authority: addr.to_string(),
            host: addr.ip().to_string(),
            port: addr.port(),
        }
    }

    /// Tries the addresses of the name in order and returns the first that accepts a connection.
    /// The load uses only this address.
    ///
    /// # Errors
    /// The name cannot be resolved, or no address accepts connections.
    pub(crate) async fn reach(&self) -> anyhow::Result<SocketAddr> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match timeout(REACH_TIMEOUT, connecting).await {
            Ok(stream) => stream.with_context(|| format!("cannot reach {self}"))?,
            Err(_) => {
                return Err(anyhow!(
                    "cannot reach {self}: no answer within {REACH_TIMEOUT:?}"
                ));
            }
        };
        Ok(stream.peer_addr()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_targets_are_parsed() {
        let cases = [
            ("http://localhost:5000", "localhost:5000", "localhost", 5000),
            ("http://localhost:80/", "localhost:80", "localhost", 80),
            ("http://a.b-c_d", "a.b-c_d", "a.b-c_d", 80),
            ("http://[::1]:81", "[::1]:81", "::1", 81),
            ("http://[::1]", "[::1]", "::1", 80),
        ];
        for (text, authority, host, port) in cases {
            let target: Target = text.parse().expect(text);
            assert_eq!(
                (target.authority.as_str(), target.host.as_str(), target.port),
                (authority, host, port)
            );
        }
    }

    #[test]
    fn bad_targets_are_rejected() {
        let bad = "localhost:5000 https://localhost http:// http://:5000 http://a: http://a:0 \
                   http://a:+1 http://a:65536 http://a/home http://a?x http://u@a http://::1 \
                   http://[::1 http://[::1]81";
        for text in bad.split(' ').chain(["http://a b", "http://a\r\nb"]) {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
