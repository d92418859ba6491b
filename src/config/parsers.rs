//! Parsers of flag values: durations, paths, hosts, and the default key rule.
//!
//! clap prints a returned sentence behind the flag's name.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use crate::fleet::ProbeKind;
use crate::proxy::ProxySource;

/// Default of `--key`.
pub(super) const DEFAULT_KEY: &str = "header:x-request-id,query:id,random";

/// Default of `--max-connections`.
pub const DEFAULT_MAX_CONNECTIONS: NonZeroUsize = match NonZeroUsize::new(10_000) {
    Some(max) => max,
    None => NonZeroUsize::MIN,
};

/// Longest duration of a flag, so that no sum of a time and a duration overflows.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 3600);

/// Longest host name, in bytes (RFC 1123 §2.1).
const MAX_HOST: usize = 255;

/// Destination of log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogDestination {
    /// Standard output.
    Stdout,
    /// A file, or a named pipe.
    File(PathBuf),
}

/// Parses a network: `10.0.0.0/8`, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let addr = text.parse::<IpAddr>().map(IpNet::from);
    let network: IpNet = addr
        .or_else(|_| text.parse())
        .map_err(|_| "is no network, such as 10.0.0.0/8".to_owned())?;
    match network.addr().to_canonical() {
        // The address of a peer is compared in its IPv4 form.
        IpAddr::V4(_) if network.addr().is_ipv6() => {
            Err("is an IPv4 network in IPv6 form; write it as 10.0.0.0/8".to_owned())
        }
        _ => Ok(network.trunc()),
    }
}

/// Parses a network of proxies, or `unix`.
pub(super) fn proxy_source(text: &str) -> Result<ProxySource, String> {
    match text {
        "unix" => Ok(ProxySource::Unix),
        text => network(text).map(ProxySource::Network),
    }
}

/// Parses a destination; `-` is standard output.
pub(super) fn log_destination(text: &str) -> Result<LogDestination, String> {
    match text {
        "" => Err("must not be empty".to_owned()),
        "-" => Ok(LogDestination::Stdout),
        path => Ok(LogDestination::File(path.into())),
    }
}

/// Parses a duration with its unit, of at most a year.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|err| err.to_string())?;
    if duration > MAX_DURATION {
        return Err("must not be longer than 366 days".to_owned());
    }
    Ok(duration)
}

/// Parses a duration longer than zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() {
        Err("must be longer than 0s".to_owned())
    } else {
        Ok(duration)
    }
}

/// Parses an IP address and a port; names are not looked up.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let sentence = "must be an IP address, a colon and a port, such as 127.0.0.1:5000 or [::]:5000";
    text.parse().map_err(|_| sentence.to_owned())
}

/// Parses a number for a type that has no zero, such as `NonZeroUsize`.
pub(super) fn positive_count<T: FromStr>(text: &str) -> Result<T, String> {
    let sentence = "must be a whole number above 0, and not too large";
    text.parse().map_err(|_| sentence.to_owned())
}

/// Parses a pseudonym, with or without a port (RFC 9110 §7.6.3).
pub(super) fn via_name(text: &str) -> Result<String, String> {
    let (name, port) = text.rsplit_once(':').unwrap_or((text, "80"));
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let is_name = !name.is_empty() && name.len() <= 255 && name.bytes().all(token);
    if is_name && port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(
        "must be a name of letters, digits, dots and dashes, such as edge-1 or edge-1:5000"
            .to_owned(),
    )
}

/// Parses a path for a request line, or `tcp`.
pub(super) fn probe_kind(text: &str) -> Result<ProbeKind, String> {
    if text == "tcp" {
        return Ok(ProbeKind::Connect);
    }
    let legal = text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if legal {
        Ok(ProbeKind::Get {
            path: text.to_owned(),
            host: None,
        })
    } else {
        Err("must be tcp, or begin with / and be printable ASCII without blanks".to_owned())
    }
}

/// Parses a value of the Host field: a name or an address, and an optional port (RFC 9110 §7.2).
pub(super) fn host(text: &str) -> Result<String, String> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    let named = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let legal = match name.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')) {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.len() <= MAX_HOST && name.bytes().all(named),
    };
    let port = port.is_none_or(|port| {
        port.parse::<NonZeroU16>()
            .is_ok_and(|n| n.to_string() == port)
    });
    if legal && port {
        Ok(text.to_owned())
    } else {
        Err("must be a host name or an IP address, with :PORT behind it if it needs one".to_owned())
    }
}
/// Returns the name of the first flag in a list of flags that is given.
pub(super) fn first_given(flags: &[(bool, &'static str)]) -> Option<&'static str> {
    let given = flags.iter().find(|(is_given, _)| *is_given);
    given.map(|(_, flag)| *flag)
}
