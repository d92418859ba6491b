//! Web pages of other sites: what a browser tells of the page that sends a request, and by which names this
//! program may be addressed.
//!
//! Pure. A browser on this machine is local whatever page it shows. A page of another site shows by its
//! `Origin` and `Sec-Fetch-Site`; one whose DNS name was pointed at us (DNS rebinding) is of our own origin to
//! the browser, and shows by that name in `Host`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::Caller;

/// The port of a `Host` or an `http` origin that names none (RFC 9110 §4.2.1).
const HTTP_PORT: u16 = 80;
/// The longest name of a host, in bytes (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;

/// A name under which this program may be addressed (`--control-host`), in lower case and without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(Box<str>);

/// A text that is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is of letters, digits, '-', '_' and '.', at most 253 of them, without a port")]
pub struct BadHostName;

impl FromStr for HostName {
    type Err = BadHostName;

    fn from_str(text: &str) -> Result<Self, BadHostName> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if text.is_empty() || text.len() > MAX_HOST || !text.bytes().all(good) {
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

/// Why the sender may be a page of another site that uses a browser here; `None` if it cannot be one. `names`
/// are ours.
pub(super) fn cross_site_reason(asker: &Caller<'_>, names: &[HostName]) -> Option<&'static str> {
    let host = asker.host.map(|host| authority(host, names));
    if host == Some(None) {
        return Some(
            "Host is neither localhost nor an IP address; allow its name with --control-host",
        );
    }
    let page = asker.origin.map(|origin| self::origin(origin, names));
    if page.is_some_and(|page| page.is_none() || Some(page) != host) {
        return Some("Origin is not this host and port");
    }
    let site = asker.fetch_site?;
    let own = site == b"same-origin" || site == b"none";
    (!own).then_some("Sec-Fetch-Site is neither same-origin nor none")
}

/// Whether a value of `Host` is a name that is not ours.
pub(super) fn is_foreign_host(host: &[u8], names: &[HostName]) -> bool {
    authority(host, names).is_none()
}

/// The host of a URL that no DNS server can point elsewhere, or a name that is ours, by its number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HostKind {
    Localhost,
    Ip(IpAddr),
    Named(usize),
}

/// Reads an origin of the `http` scheme, the only one this program speaks. `null` is none.
fn origin(value: &[u8], names: &[HostName]) -> Option<(HostKind, u16)> {
    let (scheme, rest) = value.split_at_checked(b"http://".len())?;
    scheme.eq_ignore_ascii_case(b"http://").then_some(())?;
    authority(rest, names)
}

/// Reads `localhost`, an IP address or a name of ours, with an optional port. `localhost.` is refused: with its
/// dot it passes by /etc/hosts, and then a DNS server has the say.
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

/// Reads the port from an empty text, `:` or `:digits`.
fn port(text: &str) -> Option<u16> {
    if text.is_empty() {
        return Some(HTTP_PORT);
    }
    let digits = text.strip_prefix(':')?;
    if digits.is_empty() {
        return Some(HTTP_PORT);
    }
    // A leading `+` is a number to Rust and none to a URL.
    let all = digits.bytes().all(|b| b.is_ascii_digit());
    all.then(|| digits.parse().ok())?
}
