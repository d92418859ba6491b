//! An order to the fleet, its answer and its error.

use std::fmt;

use tokio::sync::oneshot;

use crate::load::LoadBound;
use crate::ring::Spec;
use crate::roster::ReplicaName;

/// Maximum number of orders that wait for the fleet; more are refused with 503.
pub const MAX_QUEUED_ORDERS: usize = 64;

/// Number of replicas to add or remove, and their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRequest {
    /// Number of replicas to add or remove, at least 1.
    pub n: usize,
    /// Names for the first of them, at most `n`, all distinct. The fleet chooses the rest.
    pub names: Vec<ReplicaName>,
}

/// Order to the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Start replicas. Answered when all of them answer, or when none of them is left.
    Add(ChangeRequest),
    /// Remove replicas. Answered when they are gone.
    Rm(ChangeRequest),
    /// Reach this number of replicas, by starting more or by removing the highest seats. Answered
    /// like these.
    Scale(usize),
    /// Replace one replica, or all of them one at a time. Answered when the old ones are gone.
    Replace(ReplaceTarget),
    /// Send this replica no new requests, and keep it. Answered when all workers have adopted it.
    Drain(ReplicaName),
    /// Undo a drain.
    Ready(ReplicaName),
    /// Distribute the keys by another ring. Answered when all workers have adopted it.
    Ring(Spec),
    /// Set the load bound. Answered when all workers have adopted it.
    Bound(LoadBound),
}

/// Target of a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplaceTarget {
    /// All replicas.
    All,
    /// The replica of this name.
    One(ReplicaName),
}

/// Formats the order for the log: `/add n=2 S4 S5`.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, change) = match self {
            Self::Add(change) => ("/add", change),
            Self::Rm(change) => ("/rm", change),
            Self::Scale(n) => return write!(f, "scale {n}"),
            Self::Replace(ReplaceTarget::All) => return f.write_str("replace all"),
            Self::Replace(ReplaceTarget::One(name)) => return write!(f, "replace {name}"),
            Self::Drain(name) => return write!(f, "drain {name}"),
            Self::Ready(name) => return write!(f, "ready {name}"),
            Self::Ring(spec) => return write!(f, "ring set {spec}"),
            Self::Bound(bound) => return write!(f, "bound {bound}"),
        };
        write!(f, "{path} n={}", change.n)?;
        let mut names = change.names.iter();
        names.try_for_each(|name| write!(f, " {name}"))
    }
}

/// Reason for which an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderError {
    /// HTTP status: 400 for an invalid order, 404 for an unknown replica, 503 for a failed order.
    pub status: u16,
    /// Reason in a sentence, without the leading `<Error> `.
    pub sentence: String,
}

impl OrderError {
    /// Returns the error of an invalid order; nothing has changed.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self {
            status: 400,
            sentence: sentence.into(),
        }
    }

    /// Returns the error of an order about an unknown replica; nothing has changed.
    #[must_use]
    pub fn not_found(name: &ReplicaName) -> Self {
        Self {
            status: 404,
            sentence: format!("there is no replica named {name}"),
        }
    }

    /// Returns the error of a valid order that could not be carried out.
    pub fn unavailable(sentence: impl Into<String>) -> Self {
        Self {
            status: 503,
            sentence: sentence.into(),
        }
    }

    /// Returns the error of an order beyond [`MAX_QUEUED_ORDERS`].
    #[must_use]
    pub fn queue_full() -> Self {
        Self::unavailable(format!("{MAX_QUEUED_ORDERS} commands wait already"))
    }

    /// Returns the error of an order to a fleet that is stopping or gone.
    #[must_use]
    pub fn stopping() -> Self {
        Self::unavailable("ringmaster is stopping")
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
