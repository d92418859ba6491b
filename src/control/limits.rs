//! Limits of the control port.

use std::time::Duration;

/// Limits for one client, and for all clients together.
#[derive(Debug, Clone)]
pub struct ControlLimits {
    /// Number of connections served at once. Streams and orders hold their slots for long; there
    /// are at most 32 streams and 65 orders (one of them running), so a read always finds a slot.
    pub connections: usize,
    /// Number of connections that may wait for a slot while all slots are pinned. Above it, the
    /// connection that has waited longest is closed for the next.
    pub waiting: usize,
    /// Time a connection may wait for a slot before it is refused.
    pub slot_timeout: Duration,
    /// Number of connections in a lingering close. Above it, the oldest is dropped for the next.
    pub lingering: usize,
    /// Number of connections that may be streams (`-w`, `watch`, server-sent events). Streams hold
    /// their slots for long; the remaining slots are for health checks and commands.
    pub streams: usize,
    /// Longest line without its ending, in bytes.
    pub line: usize,
    /// Time until the first line is complete.
    pub idle_timeout: Duration,
    /// Time from a prompt until the next line is complete.
    pub prompt_timeout: Duration,
    /// Time from the first line, or from an answer, until the (next) HTTP head is complete.
    pub head_timeout: Duration,
    /// Time from an HTTP head until its body is complete.
    pub body_timeout: Duration,
    /// Time a write may make no progress because the client does not read.
    pub write_timeout: Duration,
    /// Interval of comments in a server-sent stream without events. A failed write shows that the
    /// client has left.
    pub stream_keepalive: Duration,
    /// Input that is discarded before a close, or behind a command that streams, in bytes.
    pub discard_bytes: usize,
    /// Time during which input is discarded before a close.
    pub discard_time: Duration,
    /// Time that running answers may take after shutdown was requested.
    pub stop_timeout: Duration,
}

impl Default for ControlLimits {
    fn default() -> Self {
        Self {
            connections: 128,
            waiting: 32,
            slot_timeout: Duration::from_secs(5),
            lingering: 64,
            streams: 32,
            line: 64 * 1024,
            idle_timeout: Duration::from_secs(60),
            prompt_timeout: Duration::from_secs(600),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            stream_keepalive: Duration::from_secs(15),
            discard_bytes: 1024 * 1024,
            discard_time: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(1),
        }
    }
}

impl ControlLimits {
    /// The sentence for a client that is refused because all slots are pinned.
    pub(super) fn all_open(&self) -> String {
        format!("{} connections are open already", self.connections)
    }
}
