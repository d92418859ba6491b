//! The target of heartbeats, and their schedule.

use std::time::Duration;

use super::probe::{Probe, ProbeOutcome};
use super::response::Identity;
use crate::fleet::plan::Refusal;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId};

/// The schedule of heartbeats.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct ProbeSchedule {
    /// Time between heartbeats.
    pub(in crate::fleet) interval: Duration,
    /// Time after which a heartbeat without an answer is a miss.
    pub(in crate::fleet) timeout: Duration,
    /// Form of the heartbeats.
    pub(in crate::fleet) probe: Probe,
    /// `true` if a replica that has never answered is probed again without delay, because it is
    /// starting.
    pub(in crate::fleet) eager: bool,
}

/// The identity that an answer must have, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum ExpectedIdentity {
    /// That of a replica which the fleet has named.
    Replica(Identity),
    /// That of any replica in this seat.
    Seat(Seat),
}

impl ExpectedIdentity {
    fn allows(&self, identity: &Identity) -> bool {
        match self {
            Self::Replica(expected) => identity.agrees_with(expected),
            Self::Seat(expected) => identity.seat.is_none_or(|seat| seat == *expected),
        }
    }
}

/// The target of heartbeats.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct ProbeTarget {
    /// The replica.
    pub(in crate::fleet) id: ReplicaId,
    /// Its address.
    pub(in crate::fleet) addr: ReplicaAddr,
    /// Its identity. An answer with another one means that its address belongs to another replica.
    pub(in crate::fleet) expected: Option<ExpectedIdentity>,
    /// The seat that heartbeats assign to a standby.
    pub(in crate::fleet) assigned_seat: Option<Seat>,
}

impl ProbeTarget {
    /// Turns an answer with another identity into a refusal.
    pub(super) fn verify_identity(&self, outcome: ProbeOutcome) -> ProbeOutcome {
        match (outcome, &self.expected) {
            (ProbeOutcome::Healthy(_, Some(identity)), Some(expected))
                if !expected.allows(&identity) =>
            {
                let Identity { name, seat } = identity;
                let seat = seat.map_or_else(|| "no seat".to_owned(), |seat| format!("seat {seat}"));
                ProbeOutcome::Refused(Refusal::OtherReplica(format!("{name} in {seat}")))
            }
            (outcome, _) => outcome,
        }
    }
}
