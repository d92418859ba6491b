//! Headers of the PROXY protocol that are sent: for a client's connection, and for connections of
//! our own.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::{CRC32C, MAX_UNIQUE_ID, UNIQUE_ID, V2_FIXED, V2_SIGNATURE, checksum};

/// Version of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Form of the headers that are sent: `v1`, or `v2` with vectors, as in `v2,crc32c,unique-id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentProxyHeader {
    version: ProxyVersion,
    has_checksum: bool,
    has_unique_id: bool,
}

/// A text that is not such a form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSentProxyHeaderError {
    /// The version is unknown.
    #[error("'{0}' is not v1 or v2")]
    Version(String),
    /// Version 1 has only addresses.
    #[error("'{0}' needs v2: a header of v1 has only addresses")]
    Vector(String),
    /// The vector is unknown, or there twice.
    #[error("'{0}' is not crc32c or unique-id, each once")]
    UnknownVector(String),
}

impl FromStr for SentProxyHeader {
    type Err = ParseSentProxyHeaderError;

    fn from_str(text: &str) -> Result<Self, ParseSentProxyHeaderError> {
        let (version, vectors) = text.split_once(',').unwrap_or((text, ""));
        let version = match version {
            "v1" => ProxyVersion::V1,
            "v2" => ProxyVersion::V2,
            _ => return Err(ParseSentProxyHeaderError::Version(version.to_owned())),
        };
        let mut form = Self {
            version,
            has_checksum: false,
            has_unique_id: false,
        };
        let vectors = text.contains(',').then(|| vectors.split(','));
        for vector in vectors.into_iter().flatten() {
            let has = match vector {
                "crc32c" => &mut form.has_checksum,
                "unique-id" => &mut form.has_unique_id,
                _ => return Err(ParseSentProxyHeaderError::UnknownVector(vector.to_owned())),
            };
            if version == ProxyVersion::V1 {
                return Err(ParseSentProxyHeaderError::Vector(vector.to_owned()));
            }
            if std::mem::replace(has, true) {
                return Err(ParseSentProxyHeaderError::UnknownVector(vector.to_owned()));
            }
        }
        Ok(form)
    }
}

impl fmt::Display for SentProxyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.version {
            ProxyVersion::V1 => "v1",
            ProxyVersion::V2 => "v2",
        })?;
        if self.has_checksum {
            f.write_str(",crc32c")?;
        }
        if self.has_unique_id {
            f.write_str(",unique-id")?;
        }
        Ok(())
    }
}

impl SentProxyHeader {
    /// Returns `true` if a header names its connection by an ID.
    #[must_use]
    pub fn has_unique_id(self) -> bool {
        self.has_unique_id
    }

    /// Returns the header of a connection for `client`, which has connected to `server`. If one
    /// address is of IPv6, the other is written as one too: a header has a single family. The
    /// connection's ID is cut off at 128 bytes, and left out if the form has none.
    #[must_use]
    pub fn header(self, client: SocketAddr, server: SocketAddr, unique_id: &[u8]) -> Vec<u8> {
        let ips = [client, server].map(|addr| addr.ip().to_canonical());
        let is_ipv4 = ips.iter().all(IpAddr::is_ipv4);
        let [from, to] = ips.map(|ip| match ip {
            IpAddr::V4(ip) if !is_ipv4 => ip.to_ipv6_mapped().into(),
            ip => ip,
        });
        match self.version {
            ProxyVersion::V1 => {
                let family = if is_ipv4 { "TCP4" } else { "TCP6" };
                let ports = format!("{} {}", client.port(), server.port());
                format!("PROXY {family} {from} {to} {ports}\r\n").into_bytes()
            }
            ProxyVersion::V2 => {
                let mut block = octets(from);
                block.extend(octets(to));
                block.extend(client.port().to_be_bytes());
                block.extend(server.port().to_be_bytes());
                let family = if is_ipv4 { 0x11 } else { 0x21 };
                self.version_2(family, block, unique_id)
            }
        }
    }

    /// Returns the header of a connection for a client without an IP address: UNSPEC in version 2,
    /// with the connection's ID, and UNKNOWN in version 1.
    #[must_use]
    pub fn unnamed_header(self, unique_id: &[u8]) -> Vec<u8> {
        match self.version {
            ProxyVersion::V1 => self.local_header().to_vec(),
            ProxyVersion::V2 => self.version_2(0x00, Vec::new(), unique_id),
        }
    }

    /// Returns a header with these addresses and the vectors of this form.
    fn version_2(self, family: u8, mut block: Vec<u8>, unique_id: &[u8]) -> Vec<u8> {
        if self.has_unique_id {
            let id = &unique_id[..unique_id.len().min(MAX_UNIQUE_ID)];
            push_vector(&mut block, UNIQUE_ID, id);
        }
        if self.has_checksum {
            push_vector(&mut block, CRC32C, &[0; 4]);
        }
        // At most 36 bytes of addresses, and 138 of vectors.
        let [.., high, low] = block.len().to_be_bytes();
        let mut header = [&V2_SIGNATURE[..], &[0x21, family, high, low], &block].concat();
        if self.has_checksum {
            let at = V2_FIXED + block.len() - 4;
            let sum = checksum(&header, at).to_be_bytes();
            header[at..].copy_from_slice(&sum);
        }
        header
    }

    /// Returns the header of a connection of our own, such as a heartbeat: LOCAL in version 2,
    /// UNKNOWN in version 1, which has no other word for it.
    #[must_use]
    pub fn local_header(self) -> &'static [u8] {
        match self.version {
            ProxyVersion::V1 => b"PROXY UNKNOWN\r\n",
            ProxyVersion::V2 => b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
        }
    }
}

/// Appends a vector of type, length and value. The value has less than 256 bytes.
fn push_vector(block: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let [.., high, low] = value.len().to_be_bytes();
    block.extend([kind, high, low]);
    block.extend_from_slice(value);
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests;
