//! Settings and limits of the data port. They are the same for all workers and do not change.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::access_record::AccessLogHandle;
use super::key::KeyRule;
use crate::access::AccessPolicy;

/// How the data port behaves; the same for all workers.
#[derive(Debug)]
pub struct ProxySettings {
    /// What is balanced.
    pub balance: BalanceMode,
    /// What a request is hashed by.
    pub key: KeyRule,
    /// How often a request is sent again after it was lost.
    pub retries: u32,
    /// Whether requests go around a replica that is slow beside the others.
    pub slow_guard: bool,
    /// Who may use the admin paths here; `None` makes them ordinary paths.
    pub admin: Option<AccessPolicy>,
    /// Whether large bodies are moved through pipes (splice(2)) rather than copied.
    pub splice: bool,
    /// The name in the Via field of what is passed on; without one there is none.
    pub via: Option<String>,
    /// Where every request is written down, if anywhere.
    pub access_log: Option<AccessLogHandle>,
    /// Times and sizes.
    pub limits: ProxyLimits,
}

/// The limits of the data path.
#[derive(Clone, Copy, Debug)]
pub struct ProxyLimits {
    /// Making a connection to a replica.
    pub connect_timeout: Duration,
    /// From a head's first byte to its last, and from a connection's beginning to its first byte.
    pub head_timeout: Duration,
    /// Silence of the side that owes bytes of a body.
    pub body_timeout: Duration,
    /// From the last byte of a request written to the head of its final reply.
    pub reply_timeout: Duration,
    /// One write that makes no progress.
    pub write_timeout: Duration,
    /// A client connection between requests.
    pub idle_timeout: Duration,
    /// A client that sends nothing more, for a reply to begin, and between the pieces of a reply.
    pub half_close_grace: Duration,
    /// A tunnel in which neither side speaks.
    pub tunnel_timeout: Duration,
    /// From the word "stop" until what is still under way is cut off.
    pub drain_timeout: Duration,
    /// A request waiting for any seat to be up.
    pub seat_wait: Duration,
    /// Client connections over all workers. For one more, the longest idle one is closed; while none is
    /// idle, more wait to be accepted.
    pub max_connections: usize,
    /// Pipes that a worker may have for large bodies.
    pub pipes_per_worker: usize,
    /// Bytes of a request head.
    pub max_head: usize,
    /// Idle connections kept per worker and replica.
    pub pool_per_seat: usize,
    /// The longest that an idle connection to a replica is kept.
    pub pool_idle: Duration,
}

/// What goes to one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceMode {
    /// Each request of a connection goes where its own key belongs.
    Request,
    /// A connection goes where its first request belongs.
    Connection,
    /// All connections of a client's address go to one replica, whatever protocol they speak. The server
    /// may speak first, so a listener must not wait for the client's first byte.
    Source,
}

/// A text that names nothing to balance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not request, connection or source")]
pub struct ParseBalanceModeError(String);

impl FromStr for BalanceMode {
    type Err = ParseBalanceModeError;

    fn from_str(text: &str) -> Result<Self, ParseBalanceModeError> {
        match text {
            "request" => Ok(Self::Request),
            "connection" => Ok(Self::Connection),
            "source" => Ok(Self::Source),
            _ => Err(ParseBalanceModeError(text.to_owned())),
        }
    }
}

impl fmt::Display for BalanceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Connection => "connection",
            Self::Source => "source",
        })
    }
}
