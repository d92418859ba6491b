//! Observations of replicas on the data path.

use super::ReplicaId;

/// Observation of a replica on the data path. It triggers a heartbeat and is never a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Observed replica.
    pub id: ReplicaId,
    /// Kind of observation.
    pub kind: EvidenceKind,
}

/// Kinds of [`Evidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceKind {
    /// A new connection was refused or found no host: the seat becomes suspect.
    Refused,
    /// A new connection timed out: heartbeat now.
    ConnectTimeout,
    /// A connection ended or was reset before the reply was complete: heartbeat now.
    Lost,
    /// The reply timed out: heartbeat now.
    ReplyTimeout,
}
