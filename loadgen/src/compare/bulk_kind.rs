//! Kinds of endless bodies: their requests, replies and contents. Pure.

use std::net::SocketAddr;

use serde::Serialize;

/// Size of one write or discard, in bytes.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// Content-Length that no test reaches: 1 TiB.
const ENDLESS_BYTES: u64 = 1 << 40;

/// Traffic beside the small requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BulkKind {
    Nothing,
    Uploads,
    Downloads,
    Tunnels,
    /// Replies in chunks of one byte.
    Chunks,
}

impl BulkKind {
    /// All kinds, in the order of the table.
    pub(crate) const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Uploads,
        Self::Downloads,
        Self::Tunnels,
        Self::Chunks,
    ];

    /// Name in tables and paths.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Uploads => "uploads",
            Self::Downloads => "downloads",
            Self::Tunnels => "tunnels",
            Self::Chunks => "chunks",
        }
    }

    /// Returns the kind that a client requests with this path.
    pub(crate) fn from_path(path: &str) -> Option<Self> {
        let name = path.strip_prefix("/endless/")?;
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Head of the client's request.
    pub(super) fn request(self, addr: SocketAddr, id: usize) -> String {
        let name = self.name();
        let (method, fields) = match self {
            Self::Uploads => ("POST", format!("Content-Length: {ENDLESS_BYTES}\r\n")),
            Self::Tunnels => ("GET", "Connection: upgrade\r\nUpgrade: bytes\r\n".into()),
            Self::Nothing | Self::Downloads | Self::Chunks => ("GET", String::new()),
        };
        format!(
            "{method} /endless/{name} HTTP/1.1\r\nHost: {addr}\r\nX-Request-ID: {id}\r\n{fields}\r\n"
        )
    }

    /// Head of the server's reply; empty if the server only reads.
    pub(super) fn reply(self) -> String {
        match self {
            Self::Nothing | Self::Uploads => String::new(),
            Self::Downloads => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS_BYTES}\r\n\r\n")
            }
            Self::Chunks => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            Self::Tunnels => {
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: bytes\r\n\r\n"
                    .into()
            }
        }
    }

    /// Part of the endless body, repeated by the sender.
    pub(super) fn chunk(self) -> Vec<u8> {
        match self {
            Self::Chunks => b"1\r\nx\r\n".repeat(CHUNK_BYTES / 6),
            _ => vec![b'x'; CHUNK_BYTES],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_kind() {
        for kind in BulkKind::ALL {
            let request = kind.request(SocketAddr::from(([127, 0, 0, 1], 80)), 1);
            let path = request.split(' ').nth(1).unwrap();
            assert_eq!(BulkKind::from_path(path), Some(kind));
        }
        assert_eq!(BulkKind::from_path("/200"), None);
    }
}
