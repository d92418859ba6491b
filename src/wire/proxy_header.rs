//! The PROXY protocol, versions 1 and 2: the header in which a proxy names the client that it
//! connects for (doc/proxy-protocol.txt of HAProxy, sections 2.1 and 2.2).
//!
//! Pure. The parser is strict, because another reading of the same bytes would be another client:
//! exact separators, numbers without leading zeros, complete vectors, the right checksum.

mod encode;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::str::FromStr;

pub use encode::{ParseSentProxyHeaderError, SentProxyHeader};

/// Maximum length of a header, in bytes. Version 1 has 107 at most. In version 2 the vectors after
/// the addresses may be of any length, and those in use need a few hundred bytes.
pub const MAX_HEADER: usize = 4096;

/// Maximum length of a header of version 1, in bytes, with its line ending.
const MAX_V1: usize = 107;
/// Beginning of version 1.
const V1_SIGNATURE: &[u8] = b"PROXY ";
/// Beginning of version 2.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Length of the fixed part of version 2, in bytes.
const V2_FIXED: usize = 16;
/// Type of the vector with the checksum of the header (PP2_TYPE_CRC32C).
const CRC32C: u8 = 0x03;
/// Type of the vector with an ID of the connection (PP2_TYPE_UNIQUE_ID).
const UNIQUE_ID: u8 = 0x05;
/// Maximum length of such an ID, in bytes.
const MAX_UNIQUE_ID: usize = 128;
/// Length of a pair of Unix socket paths, in bytes.
const UNIX_PATHS: usize = 216;

/// Complete header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Length, in bytes; the client's own bytes follow.
    pub len: usize,
    /// Address of the client. `None` if the proxy speaks for itself (a health check), or if the
    /// client has no IP address: then the address of the connection counts.
    pub client: Option<SocketAddr>,
    /// Address that the client has connected to; `None` as with `client`.
    pub server: Option<SocketAddr>,
    /// Place of the ID that the proxy gave to the connection, within the header.
    pub unique_id: Option<Range<usize>>,
}

impl ProxyHeader {
    /// Returns a header without addresses.
    fn unnamed(len: usize) -> Self {
        Self {
            len,
            client: None,
            server: None,
            unique_id: None,
        }
    }

    fn named(len: usize, [client, server]: [SocketAddr; 2]) -> Self {
        Self {
            client: Some(client),
            server: Some(server),
            ..Self::unnamed(len)
        }
    }
}

/// Reason why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProxyHeaderError(&'static str);

/// Parses the header at the beginning of `bytes`. Returns `None` if it is incomplete.
///
/// # Errors
/// The bytes are no header, however they go on.
pub fn parse(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    if begins(bytes, V1_SIGNATURE) {
        parse_v1(bytes)
    } else if begins(bytes, V2_SIGNATURE) {
        parse_v2(bytes)
    } else {
        Err(ProxyHeaderError("it begins with no PROXY header"))
    }
}

/// Returns `true` if `bytes` are the beginning of `signature`, or begin with it.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    let len = bytes.len().min(signature.len());
    bytes[..len] == signature[..len]
}

fn parse_v1(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    let limited = &bytes[..bytes.len().min(MAX_V1)];
    let Some(at) = limited.iter().position(|byte| *byte == b'\n') else {
        return match limited.len() {
            MAX_V1 => Err(ProxyHeaderError("its PROXY line is too long")),
            _ => Ok(None),
        };
    };
    let malformed = ProxyHeaderError("its PROXY line is malformed");
    let line = limited[..at].strip_suffix(b"\r").ok_or(malformed)?;
    let len = at + 1;
    // What follows this word is to be ignored, whatever it is.
    if line == b"PROXY UNKNOWN" || line.starts_with(b"PROXY UNKNOWN ") {
        return Ok(Some(ProxyHeader::unnamed(len)));
    }
    let line = str::from_utf8(line).map_err(|_| malformed)?;
    let words: Vec<&str> = line.split(' ').collect();
    let addrs = match words[1..] {
        ["TCP4", client, server, client_port, server_port] => {
            addresses::<Ipv4Addr>([client, server], [client_port, server_port]).ok_or(malformed)?
        }
        ["TCP6", client, server, client_port, server_port] => {
            addresses::<Ipv6Addr>([client, server], [client_port, server_port]).ok_or(malformed)?
        }
        _ => return Err(malformed),
    };
    Ok(Some(ProxyHeader::named(len, addrs)))
}

/// Returns the addresses of client and server, if they and both ports are well-formed.
fn addresses<A: FromStr + Into<IpAddr>>(
    addrs: [&str; 2],
    ports: [&str; 2],
) -> Option<[SocketAddr; 2]> {
    let [client, server] = addrs.map(|addr| addr.parse::<A>().ok());
    let [client_port, server_port] = ports.map(parse_port);
    Some([
        SocketAddr::new(client?.into(), client_port?),
        SocketAddr::new(server?.into(), server_port?),
    ])
}

/// Parses a port without leading zeros.
fn parse_port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (text == port.to_string()).then_some(port)
}

fn parse_v2(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    let Some((fixed, _)) = bytes.split_first_chunk::<V2_FIXED>() else {
        return Ok(None);
    };
    let [.., version_and_command, family, high, low] = *fixed;
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => {
            return Err(ProxyHeaderError(
                "its PROXY header has an unknown version or command",
            ));
        }
    };
    let len = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_HEADER {
        return Err(ProxyHeaderError("its PROXY header is too long"));
    }
    let Some(header) = bytes.get(..len) else {
        return Ok(None);
    };
    match is_local {
        // What follows is to be skipped, whatever it is.
        true => Ok(Some(ProxyHeader::unnamed(len))),
        false => parse_v2_addresses(header, family).map(Some),
    }
}

fn parse_v2_addresses(header: &[u8], family: u8) -> Result<ProxyHeader, ProxyHeaderError> {
    let (len, block) = (header.len(), &header[V2_FIXED..]);
    let short = ProxyHeaderError("its PROXY header ends within the addresses");
    let (mut parsed, used) = match family {
        // No address. The format of the rest is unspecified.
        0x00 => return Ok(ProxyHeader::unnamed(len)),
        0x11 => {
            let (addrs, _) = block.split_first_chunk::<12>().ok_or(short)?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = *addrs;
            let client = Ipv4Addr::new(a, b, c, d).into();
            let server = Ipv4Addr::new(e, f, g, h).into();
            let named = with_ports([client, server], ports);
            (ProxyHeader::named(len, named), addrs.len())
        }
        0x21 => {
            let (addrs, _) = block.split_first_chunk::<36>().ok_or(short)?;
            let (client, rest) = addrs.split_first_chunk::<16>().ok_or(short)?;
            let (server, _) = rest.split_first_chunk::<16>().ok_or(short)?;
            let [.., a, b, c, d] = *addrs;
            let ips = [client, server].map(|octets| Ipv6Addr::from(*octets).into());
            let named = with_ports(ips, [a, b, c, d]);
            (ProxyHeader::named(len, named), addrs.len())
        }
        0x31 if block.len() >= UNIX_PATHS => (ProxyHeader::unnamed(len), UNIX_PATHS),
        0x31 => return Err(short),
        _ => {
            return Err(ProxyHeaderError(
                "its PROXY header is for another protocol than TCP",
            ));
        }
    };
    parsed.unique_id = parse_vectors(header, V2_FIXED + used)?;
    Ok(parsed)
}

/// Returns the addresses of client and server with their ports, which are in network byte order.
fn with_ports([client, server]: [IpAddr; 2], [a, b, c, d]: [u8; 4]) -> [SocketAddr; 2] {
    [
        SocketAddr::new(client, u16::from_be_bytes([a, b])),
        SocketAddr::new(server, u16::from_be_bytes([c, d])),
    ]
}

/// Checks the vectors of type, length and value that begin at `at`, and the checksum if one is
/// there. Returns the place of the connection's ID. Unknown types are skipped.
fn parse_vectors(header: &[u8], mut at: usize) -> Result<Option<Range<usize>>, ProxyHeaderError> {
    let mut unique_id = None;
    let malformed = ProxyHeaderError("its PROXY header has a malformed vector");
    while at < header.len() {
        let (prefix, _) = header[at..].split_first_chunk::<3>().ok_or(malformed)?;
        let [kind, high, low] = *prefix;
        let from = at + prefix.len();
        at = from + usize::from(u16::from_be_bytes([high, low]));
        let value = header.get(from..at).ok_or(malformed)?;
        if kind == UNIQUE_ID {
            if value.len() > MAX_UNIQUE_ID || unique_id.is_some() {
                return Err(ProxyHeaderError(
                    "its PROXY header has two unique IDs, or one above 128 bytes",
                ));
            }
            unique_id = Some(from..at);
        }
        if kind == CRC32C {
            let sent = <[u8; 4]>::try_from(value).map_err(|_| malformed)?;
            if checksum(header, from) != u32::from_be_bytes(sent) {
                return Err(ProxyHeaderError("its PROXY header has a wrong checksum"));
            }
        }
    }
    Ok(unique_id)
}

/// Returns the checksum of a header whose vector of the checksum has its value at `at`. The value
/// counts as zero.
fn checksum(header: &[u8], at: usize) -> u32 {
    let sum = crc32c::crc32c(&header[..at]);
    let sum = crc32c::crc32c_append(sum, &[0; 4]);
    crc32c::crc32c_append(sum, &header[at + 4..])
}

#[cfg(test)]
mod tests;
