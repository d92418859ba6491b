//! Settings and limits of the data port. They are the same for all workers and do not change.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::access_record::AccessLogHandle;
use super::in_flight_limit::InFlightLimits;
use super::key::KeyRule;
use super::retry_on::RetryOn;
use crate::access::AccessPolicy;
use crate::clients::ClientPolicy;
use crate::load::EjectionRule;
use crate::wire::proxy_header::SentProxyHeader;

/// Proxies whose connections begin with a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxySource {
    /// All in this network.
    Network(IpNet),
    /// All that connect to a Unix socket.
    Unix,
}

/// Settings of the data port, the same for all workers.
#[derive(Debug)]
pub struct ProxySettings {
    /// Unit that is balanced.
    pub balance: BalanceMode,
    /// Sources of the key.
    pub key: KeyRule,
    /// Proxies whose connections begin with a PROXY header.
    pub accept_proxy: Vec<ProxySource>,
    /// Clients that are served, and limits for each; shared with the control port.
    pub clients: Arc<ClientPolicy>,
    /// Form of the PROXY header at the beginning of each connection to a replica; `None` sends
    /// none.
    pub send_proxy: Option<SentProxyHeader>,
    /// Maximum number of retries of a lost request.
    pub retries: u32,
    /// Statuses for which an idempotent request is sent to another replica.
    pub retry_on: RetryOn,
    /// Rule by which a replica that answers with errors is avoided; `None` avoids none.
    pub eject: Option<EjectionRule>,
    /// `true` if requests avoid a replica that is slow compared with the others.
    pub slow_guard: bool,
    /// Limits of requests in flight per replica; `None` sets none.
    pub in_flight: Option<InFlightLimits>,
    /// Access rules of the admin paths on this port; `None` makes them ordinary paths.
    pub admin: Option<AccessPolicy>,
    /// `true` if large bodies move through pipes (splice(2)) instead of being copied.
    pub splice: bool,
    /// Name in the Via field of relayed messages; `None` adds no field.
    pub via: Option<String>,
    /// Access log, if configured.
    pub access_log: Option<AccessLogHandle>,
    /// Times and sizes.
    pub limits: ProxyLimits,
}

/// Limits of the data path.
#[derive(Clone, Copy, Debug)]
pub struct ProxyLimits {
    /// Time to connect to a replica.
    pub connect_timeout: Duration,
    /// Time from a head's first byte to its last, and from a connection's start to its first byte.
    pub head_timeout: Duration,
    /// Silence of the side that owes bytes of a body.
    pub body_timeout: Duration,
    /// Time from the last written byte of a request to the head of its final reply.
    pub reply_timeout: Duration,
    /// Time without progress of one write.
    pub write_timeout: Duration,
    /// Time of a client connection between requests.
    pub idle_timeout: Duration,
    /// Time that a half-closed client waits for a reply to begin, and between pieces of the reply.
    pub half_close_grace: Duration,
    /// Silence of both sides of a tunnel.
    pub tunnel_timeout: Duration,
    /// Time from the stop signal until open connections are cut off.
    pub drain_timeout: Duration,
    /// Time that a request waits for any seat to be up.
    pub seat_wait: Duration,
    /// Client connections over all workers. For another client, one is evicted that has not
    /// completed a head for long, or is idle. While there is none, new clients wait to be accepted.
    pub max_connections: usize,
    /// Pipes of a worker for large bodies.
    pub pipes_per_worker: usize,
    /// Bytes of a request head.
    pub max_head: usize,
    /// Idle connections kept per worker and replica.
    pub pool_per_seat: usize,
    /// Time for which an idle connection to a replica is kept.
    pub pool_idle: Duration,
}

/// Unit that goes to one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceMode {
    /// Each request goes to the seat of its own key.
    Request,
    /// A connection goes to the seat of its first request.
    Connection,
    /// All connections of a client's address go to one replica, whatever their protocol. The server
    /// may speak first, so a listener must not wait for the client's first byte.
    Source,
    /// A TLS connection goes to the seat of the server name in its ClientHello, undecrypted.
    Sni,
}

impl BalanceMode {
    /// Returns `true` if a connection begins with an HTTP request that is read.
    #[must_use]
    pub fn reads_requests(self) -> bool {
        matches!(self, Self::Request | Self::Connection)
    }
}

/// A text that is not a balance mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not request, connection, source or sni")]
pub struct ParseBalanceModeError(String);

impl FromStr for BalanceMode {
    type Err = ParseBalanceModeError;

    fn from_str(text: &str) -> Result<Self, ParseBalanceModeError> {
        match text {
            "request" => Ok(Self::Request),
            "connection" => Ok(Self::Connection),
            "source" => Ok(Self::Source),
            "sni" => Ok(Self::Sni),
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
            Self::Sni => "sni",
        })
    }
}
