//! Detection of web pages of other sites, by the header fields that a browser sends and by the
//! names under which this program may be addressed.
//!
//! Pure. A browser on this machine is local whatever page it shows. `Origin` and `Sec-Fetch-Site`
//! give a page of another site away. A page whose DNS name was rebound to this machine has our
//! origin in the browser's view; its name in `Host` gives it away.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::Caller;

/// Port of a `Host` or an `http` origin without a port (RFC 9110 §4.2.1).
const HTTP_PORT: u16 = 80;
/// Maximum length of a host name, in bytes (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;

/// Name under which this program may be addressed (`--control-host`), in lower case, without a
/// port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(Box<str>);

/// Error for a text that is not such a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is of letters, digits, '-', '_' and '.', at most 253 of them, without a port")]
pub struct BadHostName;

impl FromStr for HostName {
    type Err = BadHostName;

    fn from_str(text: &str) -> Result<Self, BadHostName> {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if text.is_empty() || text.len() > MAX_HOST || !text.bytes().all(is_allowed) {
            return Err(BadHostName);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the reason for which the sender may be a page of another site in a local browser; `None`
/// if it cannot be one. `names` are the program's own.
pub(super) fn cross_site_reason(caller: &Caller<'_>, names: &[HostName]) -> Option<&'static str> {
    let host = caller.host.map(|host| authority(host, names));
    if host == Some(None) {
        return Some(
            "Host is neither localhost nor an IP address; allow its name with --control-host",
        );
    }
    let page = caller.origin.map(|origin| self::origin(origin, names));
    if page.is_some_and(|page| page.is_none() || Some(page) != host) {
        return Some("Origin is not this host and port");
    }
    let site = caller.fetch_site?;
    let own = site == b"same-origin" || site == b"none";
    (!own).then_some("Sec-Fetch-Site is neither same-origin nor none")
}

/// Returns `true` if a value of `Host` is a name that is not our own.
pub(super) fn is_foreign_host(host: &[u8], names: &[HostName]) -> bool {
    authority(host, names).is_none()
}

/// Host of a URL that no DNS server can redirect, or the index of one of our own names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HostKind {
    Localhost,
    Ip(IpAddr),
    Named(usize),
}

/// Parses an origin of the `http` scheme, the only one this program supports. `null` gives `None`.
fn origin(value: &[u8], names: &[HostName]) -> Option<(HostKind, u16)> {
    let (scheme, rest) = value.split_at_checked(b"http://".len())?;
    scheme.eq_ignore_ascii_case(b"http://").then_some(())?;
    authority(rest, names)
}

/// Parses `localhost`, an IP address or one of our own names, with an optional port. `localhost.`
/// is refused: with its dot it bypasses /etc/hosts, and a DNS server decides about it.
fn authority(value: &[u8], names: &[HostName]) -> Option<(HostKind, u16)> {
    let text = std::str::from_utf8(value).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (v6, rest) = rest.split_once(']')?;
        let ip = v6.parse::<Ipv6Addr>().ok()?;
        return Some((HostKind::Ip(ip.into()), port(rest)?));
    }
    let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
    let named = || {
        names
            .iter()
            .position(|own| own.0.eq_ignore_ascii_case(name))
    };
    let host = match name.eq_ignore_ascii_case("localhost") {
        true => HostKind::Localhost,
        false => match name.parse::<Ipv4Addr>() {
            Ok(ip) => HostKind::Ip(ip.into()),
            Err(_) => HostKind::Named(named()?),
        },
    };
    Some((host, port(rest)?))
}

/// Parses the port from an empty text, `:` or `:digits`.
fn port(text: &str) -> Option<u16> {
    if text.is_empty() {
        return Some(HTTP_PORT);
    }
    let digits = text.strip_prefix(':')?;
    if digits.is_empty() {
        return Some(HTTP_PORT);
    }
    // Rust's parser accepts a leading `+`, which a URL does not allow.
    let all = digits.bytes().all(|b| b.is_ascii_digit());
    all.then(|| digits.parse().ok())?
}
