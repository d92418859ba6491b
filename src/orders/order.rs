//! An order to the fleet, and its answer.

use std::fmt;

use tokio::sync::oneshot;

use super::backend_addr::BackendAddr;
use super::error::OrderError;
use super::replacement::ReplaceRequest;
use crate::load::LoadBound;
use crate::ring::{Spec, Weight};
use crate::roster::ReplicaName;

/// Number of replicas to add or remove, and their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRequest {
    /// Number of replicas to add or remove, at least 1.
    pub n: usize,
    /// Names for the first of them, at most `n`, all distinct. The fleet chooses the rest.
    pub names: Vec<ReplicaName>,
}

impl ChangeRequest {
    /// Change of one replica, of this name.
    #[must_use]
    pub fn named(name: ReplicaName) -> Self {
        let names = vec![name];
        Self { n: 1, names }
    }
}

/// Fixed backend that is added, or gets another address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendChange {
    /// Name of the backend.
    pub name: ReplicaName,
    /// Its address.
    pub addr: BackendAddr,
}

/// Formats the change as the words of its command.
impl fmt::Display for BackendChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.addr)
    }
}

/// Order to the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Start replicas. Answered when all of them answer, or when none of them is left.
    Add(ChangeRequest),
    /// Remove replicas. Answered when they are gone.
    Rm(ChangeRequest),
    /// Remove all replicas. Answered when they are gone.
    RmAll,
    /// Add a fixed backend. Answered when it answers and all workers have adopted it.
    AddBackend(BackendChange),
    /// Give a fixed backend another address. Answered when it answers there and all workers have
    /// adopted it.
    SetBackend(BackendChange),
    /// Reach this number of replicas, by starting more or by removing the highest seats. Answered
    /// like these.
    Scale(usize),
    /// Replace replicas, by the same or by another version. Answered when the old ones are gone, or
    /// after a failure, as soon as every seat runs its former version again.
    Replace(ReplaceRequest),
    /// Stop the replacement that is under way. Answered at once.
    StopReplace,
    /// Bring back the versions from before the replacement that is under way, or from before the
    /// last one. Answered when that is complete.
    ReplaceBack,
    /// Send this replica no new requests, and keep it. Answered when all workers have adopted it.
    Drain(ReplicaName),
    /// Undo a drain.
    Ready(ReplicaName),
    /// Give the seat of this replica another weight. Answered when all workers have adopted it.
    Weight(ReplicaName, Weight),
    /// Kill this replica as a fault would, without a word to its successor. Answered at once.
    Kill(ReplicaName),
    /// Distribute the keys by another ring. Answered when all workers have adopted it.
    Ring(Spec),
    /// Set the load bound. Answered when all workers have adopted it.
    Bound(LoadBound),
}

/// Formats the order for the log: `/add n=2 S4 S5`.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, change) = match self {
            Self::Add(change) => ("/add", change),
            Self::Rm(change) => ("/rm", change),
            Self::RmAll => return f.write_str("rm all"),
            Self::AddBackend(change) => return write!(f, "add {change}"),
            Self::SetBackend(change) => return write!(f, "set {change}"),
            Self::Scale(n) => return write!(f, "scale {n}"),
            Self::Replace(request) => return write!(f, "{request}"),
            Self::StopReplace => return f.write_str("replace stop"),
            Self::ReplaceBack => return f.write_str("replace back"),
            Self::Drain(name) => return write!(f, "drain {name}"),
            Self::Ready(name) => return write!(f, "ready {name}"),
            Self::Weight(name, weight) => return write!(f, "weight {name} {weight}"),
            Self::Kill(name) => return write!(f, "kill {name}"),
            Self::Ring(spec) => return write!(f, "ring set {spec}"),
            Self::Bound(bound) => return write!(f, "bound {bound}"),
        };
        write!(f, "{path} n={}", change.n)?;
        let mut names = change.names.iter();
        names.try_for_each(|name| write!(f, " {name}"))
    }
}

/// Replicas that `/rep` lists, in its order, or the reason for a refusal.
pub type OrderResult = Result<Vec<ReplicaName>, OrderError>;

/// Order on its way to the fleet.
#[derive(Debug)]
pub struct OrderCall {
    /// The order.
    pub order: Order,
    /// Address of the sender, for the log.
    pub from: String,
    /// Channel for the answer. The receiver may be dropped: the sender of the order may disconnect.
    pub reply: oneshot::Sender<OrderResult>,
}
