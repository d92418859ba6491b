//! Headers of the PROXY protocol that are sent: for a client's connection, and for connections of
//! our own.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::V2_SIGNATURE;

/// Version of the headers that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// A text that is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not v1 or v2")]
pub struct ParseProxyVersionError(String);

impl FromStr for ProxyVersion {
    type Err = ParseProxyVersionError;

    fn from_str(text: &str) -> Result<Self, ParseProxyVersionError> {
        match text {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            _ => Err(ParseProxyVersionError(text.to_owned())),
        }
    }
}

impl fmt::Display for ProxyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}

impl ProxyVersion {
    /// Returns the header of a connection for `client`, which has connected to `server`. If one
    /// address is of IPv6, the other is written as one too: a header has a single family.
    #[must_use]
    pub fn header(self, client: SocketAddr, server: SocketAddr) -> Vec<u8> {
        let ips = [client, server].map(|addr| addr.ip().to_canonical());
        let is_ipv4 = ips.iter().all(IpAddr::is_ipv4);
        let [from, to] = ips.map(|ip| match ip {
            IpAddr::V4(ip) if !is_ipv4 => ip.to_ipv6_mapped().into(),
            ip => ip,
        });
        match self {
            Self::V1 => {
                let family = if is_ipv4 { "TCP4" } else { "TCP6" };
                let ports = format!("{} {}", client.port(), server.port());
                format!("PROXY {family} {from} {to} {ports}\r\n").into_bytes()
            }
            Self::V2 => {
                let mut block = octets(from);
                block.extend(octets(to));
                block.extend(client.port().to_be_bytes());
                block.extend(server.port().to_be_bytes());
                let (family, len) = if is_ipv4 { (0x11, 12) } else { (0x21, 36) };
                [&V2_SIGNATURE[..], &[0x21, family, 0, len], &block].concat()
            }
        }
    }

    /// Returns the header of a connection of our own, such as a heartbeat: LOCAL in version 2,
    /// UNKNOWN in version 1, which has no other word for it.
    #[must_use]
    pub fn local_header(self) -> &'static [u8] {
        match self {
            Self::V1 => b"PROXY UNKNOWN\r\n",
            Self::V2 => b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
        }
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}
