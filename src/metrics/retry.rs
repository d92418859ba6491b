//! The reasons for retries.

/// Reason for which a request left its replica for another connection or another replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A new connection was refused, or there was no route to the replica.
    Refused,
    /// A new connection timed out.
    ConnectTimeout,
    /// A pooled connection was found closed.
    Stale,
    /// A connection ended before the reply.
    Lost,
    /// The replica was declared suspect or dead while its reply was pending.
    Degraded,
    /// The reply had a status of `--retry-on`.
    Status,
}

impl Retry {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::Refused,
        Self::ConnectTimeout,
        Self::Stale,
        Self::Lost,
        Self::Degraded,
        Self::Status,
    ];

    /// Returns the reason's label in metrics and statistics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Stale => "stale",
            Self::Lost => "lost",
            Self::Degraded => "doubted",
            Self::Status => "status",
        }
    }
}
