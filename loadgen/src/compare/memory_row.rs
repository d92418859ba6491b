//! Scenarios that measure memory, as data: the connections that a proxy holds while its memory is
//! read. Pure.

use super::aim::Aim;
use super::peer::Peer;

/// Connections of a scenario.
#[derive(Debug)]
pub(crate) struct MemoryRow {
    /// Title without the number of connections.
    pub(crate) title: &'static str,
    /// `None`: the number of the flag `--idle`.
    connections: Option<usize>,
    pub(crate) held: HeldState,
    /// Memory of ringmaster for each connection, in KiB, and in all, in MiB.
    pub(crate) kib_each: Option<Aim>,
    pub(crate) mib_in_all: Option<Aim>,
}

/// State of the connections while memory is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldState {
    /// Open after one answer each; opened one after the other, or all at once.
    Answered { at_once: bool },
    /// Open, with a request that gets no answer.
    Unanswered,
    /// Open, with an upload of this many bytes that gets no answer. A slow one is sent in pieces,
    /// to a backend that reads; otherwise all is sent at once, to one that does not.
    Uploading { bytes: usize, slow: bool },
    /// Open, with a reply of which the client reads nothing.
    Unread { path: &'static str },
    /// Closed after rounds of many requests.
    Closed,
}

/// Requests of one round of [`ROUNDS`], and number of rounds.
pub(crate) const ROUND_REQUESTS: u64 = 20_000;
pub(crate) const ROUND_COUNT: usize = 6;

/// Size of one piece of a slow upload, in bytes, and number of pieces that are sent when memory is
/// read.
pub(crate) const PIECE_BYTES: usize = 1024;
pub(crate) const PIECE_COUNT: usize = 8;

/// Number of connections with slow clients.
const SLOW_CONNECTIONS: Option<usize> = Some(2000);

pub(crate) const IDLE: MemoryRow = MemoryRow {
    title: "connections that have sent one request",
    connections: None,
    held: HeldState::Answered { at_once: false },
    kib_each: Some(Aim(0.9)),
    mib_in_all: None,
};

pub(crate) const WAITING: MemoryRow = MemoryRow {
    title: "requests that wait for a reply",
    connections: Some(4096),
    held: HeldState::Unanswered,
    kib_each: Some(Aim(6.0)),
    mib_in_all: Some(Aim(60.0)),
};

pub(crate) const STUCK_UPLOADS: MemoryRow = MemoryRow {
    title: "uploads of 256 KiB to a backend that reads nothing",
    connections: SLOW_CONNECTIONS,
    held: HeldState::Uploading {
        bytes: 256 << 10,
        slow: false,
    },
    kib_each: Some(Aim(16.0)),
    mib_in_all: None,
};

pub(crate) const SLOW_UPLOADS: MemoryRow = MemoryRow {
    title: "uploads in pieces of 1 KiB",
    connections: SLOW_CONNECTIONS,
    held: HeldState::Uploading {
        bytes: 1 << 20,
        slow: true,
    },
    kib_each: Some(Aim(20.0)),
    mib_in_all: None,
};

pub(crate) const SLOW_READERS: MemoryRow = MemoryRow {
    title: "clients that read nothing of a reply of 1 MiB",
    connections: SLOW_CONNECTIONS,
    held: HeldState::Unread { path: "/1048576" },
    kib_each: Some(Aim(25.0)),
    mib_in_all: None,
};

pub(crate) const SLOW_CHUNKS: MemoryRow = MemoryRow {
    title: "clients that read nothing of a reply in chunks of 1,000 bytes",
    held: HeldState::Unread {
        path: "/chunks/1000/1000",
    },
    ..SLOW_READERS
};

pub(crate) const BURST: MemoryRow = MemoryRow {
    title: "connections that came at once, sent one request, and are idle",
    connections: Some(9000),
    held: HeldState::Answered { at_once: true },
    kib_each: Some(Aim(2.0)),
    mib_in_all: None,
};

pub(crate) const ROUNDS: MemoryRow = MemoryRow {
    title: "connections, opened and closed in each of six rounds of 20,000 requests",
    connections: Some(3400),
    held: HeldState::Closed,
    kib_each: None,
    mib_in_all: Some(Aim(60.0)),
};

impl MemoryRow {
    /// Number of connections; `idle` if it is a flag.
    pub(crate) fn connections(&self, idle: usize) -> usize {
        self.connections.unwrap_or(idle)
    }

    /// Returns `true` if the row measures this peer. Only idle connections are the same to a proxy
    /// that reads no HTTP.
    pub(crate) fn measures(&self, peer: Peer) -> bool {
        let http = [Peer::Ringmaster, Peer::HaproxyHttp, Peer::NginxHttp].contains(&peer);
        let is_idle = self.held == HeldState::Answered { at_once: false };
        http || (is_idle && ![Peer::Direct, Peer::Relay].contains(&peer))
    }
}

impl HeldState {
    /// Request line and length field of a request that stays without an answer, or whose reply is
    /// not read.
    pub(crate) fn request_line(self) -> String {
        match self {
            Self::Uploading { bytes, slow } => {
                let path = if slow { "/hold" } else { "/unread" };
                format!("POST {path} HTTP/1.1\r\nContent-Length: {bytes}\r\n")
            }
            Self::Unread { path } => format!("GET {path} HTTP/1.1\r\n"),
            _ => "GET /hold HTTP/1.1\r\n".to_owned(),
        }
    }
}
