//! Vocabulary of heartbeats: their results as the plan gets them, and the words for their failures.

use std::fmt;
use std::time::{Duration, Instant};

/// Reason for which a heartbeat counts as missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum MissReason {
    /// No answer in time.
    Silent,
    /// An answer with an unhealthy status.
    Wrong(u16),
    /// End of a fresh connection without an answer.
    Closed,
    /// An answer that is not HTTP.
    Garbled,
}

/// Certain sign that the replica does not listen at its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Refusal {
    /// The connection was refused.
    Connection,
    /// There is no way to the host.
    Unreachable,
    /// This process may not open the replica's Unix socket.
    Forbidden,
    /// The address is that of another replica, with this name and seat.
    OtherReplica(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Forbidden => f.write_str("permission denied"),
            Self::OtherReplica(other) => write!(f, "its address is that of {other}"),
        }
    }
}

/// Result of a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum ProbeEvent {
    /// The answer was healthy.
    Answered,
    /// The answer to the heartbeat that assigned a seat was healthy; `Answered` follows.
    Seated {
        /// `true` if the replica reports that seat itself. A custom server may not.
        knows: bool,
    },
    /// There was no healthy answer.
    Missed {
        /// Time at which the heartbeat was sent.
        sent: Instant,
        /// Kind of failure.
        why: MissReason,
    },
    /// The held connection ended unexpectedly; a fresh connection is being tried.
    Broken,
    /// The replica serves one connection at a time: while the first is open, a second gets no
    /// answer.
    Iterative,
    /// A fresh connection was refused or found no host: the replica is dead for certain.
    Refused(Refusal),
    /// The same of a replica that is starting, which may not listen yet.
    NotListening(Refusal),
}

/// Words about heartbeats that follow from the settings.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct ProbeWording {
    /// The request: `GET /heartbeat`. `None` if a heartbeat is only a connection.
    pub(in crate::fleet) request: Option<String>,
    /// Time within which an answer must come.
    pub(in crate::fleet) timeout: Duration,
    /// Hint for a refused connection: `see --replica-port`. Empty if no flag can be at fault.
    pub(in crate::fleet) port_hint: &'static str,
}
