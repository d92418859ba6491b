//! Connections that a proxy holds while its memory is read. Pure.

use serde::Serialize;

use super::peer::Peer;

/// State of the held connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MemoryRow {
    /// They have sent one request, one after the other, and stay open.
    Idle,
    /// Their requests wait for a reply.
    Waiting,
    /// They upload to a backend that reads nothing.
    StuckUploads,
    /// They upload in small pieces.
    SlowUploads,
    /// They read nothing of a large reply.
    SlowReaders,
    /// They read nothing of a large reply in chunks.
    SlowChunks,
    /// They have sent one request, all at once, and stay open.
    Burst,
    /// They were opened and closed in several rounds of many requests.
    Rounds,
}

/// Requests of one round of [`MemoryRow::Rounds`], and number of rounds.
pub(crate) const ROUND_REQUESTS: u64 = 20_000;
pub(crate) const ROUND_COUNT: usize = 6;

/// Size of uploads that are sent at once, of slow ones, and of one piece of these, in bytes.
pub(crate) const STUCK_UPLOAD_BYTES: usize = 256 << 10;
pub(crate) const SLOW_UPLOAD_BYTES: usize = 1 << 20;
pub(crate) const PIECE_BYTES: usize = 1024;

/// Number of pieces that a slow upload has sent when memory is read.
pub(crate) const PIECE_COUNT: usize = 8;

impl MemoryRow {
    /// Number of connections, except idle ones, whose number is a flag.
    pub(crate) fn connections(self, idle: usize) -> usize {
        match self {
            Self::Idle => idle,
            Self::Waiting => 4096,
            Self::StuckUploads | Self::SlowUploads | Self::SlowReaders | Self::SlowChunks => 2000,
            Self::Burst => 9000,
            Self::Rounds => 3400,
        }
    }

    /// Title without the number of connections.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Idle => "connections that have sent one request",
            Self::Waiting => "requests that wait for a reply",
            Self::StuckUploads => "uploads of 256 KiB to a backend that reads nothing",
            Self::SlowUploads => "uploads in pieces of 1 KiB",
            Self::SlowReaders => "clients that read nothing of a reply of 1 MiB",
            Self::SlowChunks => "clients that read nothing of a reply in chunks of 1,000 bytes",
            Self::Burst => "connections that came at once, sent one request, and are idle",
            Self::Rounds => {
                "connections, opened and closed in each of six rounds of 20,000 requests"
            }
        }
    }

    /// Request head, up to the field that names its ID.
    pub(crate) fn request_line(self) -> String {
        match self {
            Self::Idle | Self::Burst | Self::Rounds => "GET /200 HTTP/1.1\r\n".to_owned(),
            Self::Waiting => "GET /hold HTTP/1.1\r\n".to_owned(),
            Self::StuckUploads => {
                format!("POST /unread HTTP/1.1\r\nContent-Length: {STUCK_UPLOAD_BYTES}\r\n")
            }
            Self::SlowUploads => {
                format!("POST /hold HTTP/1.1\r\nContent-Length: {SLOW_UPLOAD_BYTES}\r\n")
            }
            Self::SlowReaders => "GET /1048576 HTTP/1.1\r\n".to_owned(),
            Self::SlowChunks => "GET /chunks/1000/1000 HTTP/1.1\r\n".to_owned(),
        }
    }

    /// Returns `true` if the row measures this peer. Only idle connections are the same to a proxy
    /// that reads no HTTP.
    pub(crate) fn measures(self, peer: Peer) -> bool {
        let http = [Peer::Ringmaster, Peer::HaproxyHttp, Peer::NginxHttp].contains(&peer);
        http || (self == Self::Idle && ![Peer::Direct, Peer::Relay].contains(&peer))
    }

    /// Returns `true` if the connections stay open while memory is read.
    pub(crate) fn is_held(self) -> bool {
        self != Self::Rounds
    }
}
