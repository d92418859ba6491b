//! Rules about the clients of the data port: networks that are allowed or denied, and what each
//! client may take, in connections at a time and requests per second.
//!
//! A client is an IPv4 address or an IPv6 /64. Its entry in the table is looked up once per
//! connection; a request takes its token from there without a lock.

mod networks;
mod rate;
mod table;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

pub use networks::NetworkRules;
pub use rate::{ParseRateError, RequestRate};
use table::ClientTable;
pub use table::{Admission, ClientReport};

use crate::log_interval::LogInterval;
use crate::token_bucket::BucketSize;

/// Rules about the clients of the data port. The default serves all without a limit.
#[derive(Debug, Default)]
pub struct ClientPolicy {
    /// Interval of the warnings about connections that are not served.
    pub(crate) log_interval: LogInterval,
    networks: NetworkRules,
    limited: Option<(ClientLimits, ClientTable)>,
}

/// Limits for each client.
#[derive(Debug)]
pub struct ClientLimits {
    /// Maximum number of open connections.
    pub connections: Option<u32>,
    /// Rate of requests, and its bucket.
    pub rate: Option<(RequestRate, BucketSize)>,
    /// Networks whose clients have no limit.
    pub exempt: Vec<IpNet>,
}

/// Reason why a connection is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionRefused {
    /// The client's network is denied, or not among the allowed ones.
    #[error("its network is not served (--allow, --deny)")]
    Denied,
    /// The client has too many open connections.
    #[error("it has too many open connections (--max-connections-per-client)")]
    TooMany,
    /// The client opens tunnels faster than its rate of requests.
    #[error("its connections come too fast (--rate-per-client)")]
    TooFast,
}

impl ClientPolicy {
    /// Returns the number of requests of one client that may come at once, if they have a rate.
    #[must_use]
    pub fn burst(&self) -> Option<u32> {
        let (limits, _) = self.limited.as_ref()?;
        limits.rate.map(|(_, size)| size.burst)
    }

    /// Creates the rules. Without a limit no table is kept.
    #[must_use]
    pub fn new(networks: NetworkRules, limits: Option<ClientLimits>) -> Self {
        let limited = limits.map(|limits| (limits, ClientTable::default()));
        Self {
            log_interval: LogInterval::default(),
            networks,
            limited,
        }
    }

    /// Admits a connection. `None` means that no limit holds for the client.
    ///
    /// # Errors
    /// The connection is to be closed.
    pub fn admit(&self, addr: IpAddr) -> Result<Option<Admission>, ConnectionRefused> {
        if !self.networks.serves(addr) {
            return Err(ConnectionRefused::Denied);
        }
        match &self.limited {
            Some((limits, table)) if !limits.exempts(addr) => {
                let admitted = table.admit(addr, limits.connections);
                admitted.map(Some).map_err(|()| ConnectionRefused::TooMany)
            }
            _ => Ok(None),
        }
    }

    /// Takes a token for a request on an admitted connection.
    ///
    /// # Errors
    /// The request came too fast; the time until the next one may come.
    pub fn take_request(&self, admission: &Admission, now: Instant) -> Result<(), Duration> {
        match &self.limited {
            Some((limits, table)) => {
                let size = limits.rate.map(|(_, size)| size);
                table.take_request(admission, size, now)
            }
            None => Ok(()),
        }
    }

    /// Returns the limits, the number of clients in the table, and the clients with the most
    /// refusals, at most 20. `None` if there is no limit.
    #[must_use]
    pub fn report(&self) -> Option<(&ClientLimits, usize, Vec<ClientReport>)> {
        let (limits, table) = self.limited.as_ref()?;
        Some((limits, table.len(), table.worst()))
    }
}

impl ClientLimits {
    fn exempts(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        self.exempt.iter().any(|network| network.contains(&addr))
    }
}
