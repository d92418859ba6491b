//! Questions about the ring as typed values: `where KEY`, `ring`, `bound` and `plan CHANGE`.
//!
//! Pure. The answers are worked out in `ring_report.rs`.

use std::fmt;

use super::command::arguments::parse_int;
use crate::load::LoadBound;
use crate::orders::{BackendChange, ChangeRequest, ReplaceRequest};
use crate::ring::{Spec, Weight};
use crate::roster::ReplicaName;

/// Longest key, in bytes.
const MAX_KEY: usize = 1024;
/// Maximum number of arcs in a picture of the ring.
const MAX_ARCS: u32 = 4096;

/// A question about the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RingQuery {
    /// The seats that serve this key, in bytes: its home, then the fallbacks.
    Owner(Vec<u8>),
    /// The kind of the ring, and the share of each seat.
    Ring,
    /// The same, and the owner of each of this many equal arcs.
    Arcs(u32),
    /// The bound of the loads.
    Bound,
    /// The effect of a change.
    Plan(PlannedChange),
}

/// A change whose effect is computed and not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedChange {
    /// More replicas.
    Add(ChangeRequest),
    /// A further fixed backend. Its address is not tried.
    AddBackend(BackendChange),
    /// Fewer replicas.
    Rm(ChangeRequest),
    /// No replicas.
    RmAll,
    /// This number of replicas.
    Scale(usize),
    /// New weight for the seat of a replica.
    Weight(ReplicaName, Weight),
    /// New kind of ring.
    Ring(Spec),
    /// New bound.
    Bound(LoadBound),
    /// New replicas in the same seats.
    Replace(ReplaceRequest),
}

/// The words that `plan` takes.
impl fmt::Display for PlannedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, change) = match self {
            Self::Add(change) => ("add", change),
            Self::Rm(change) => ("rm", change),
            Self::RmAll => return f.write_str("rm all"),
            Self::Scale(n) => return write!(f, "scale {n}"),
            Self::AddBackend(change) => return write!(f, "add {change}"),
            Self::Weight(name, weight) => return write!(f, "weight {name} {weight}"),
            Self::Ring(spec) => return write!(f, "ring {spec}"),
            Self::Bound(bound) => return write!(f, "bound {bound}"),
            Self::Replace(request) => return write!(f, "{request}"),
        };
        write!(f, "{word} {}", change.n)?;
        let mut names = change.names.iter();
        names.try_for_each(|name| write!(f, " {name}"))
    }
}

impl RingQuery {
    /// Asks for the owner of `key`.
    ///
    /// # Errors
    /// A sentence, when the key is longer than 1024 bytes.
    pub fn owner(key: impl Into<Vec<u8>>) -> Result<Self, String> {
        let key = key.into();
        match key.len() > MAX_KEY {
            true => Err(format!("key is longer than {MAX_KEY} bytes")),
            false => Ok(Self::Owner(key)),
        }
    }

    /// Asks for the owners of this many arcs, given in digits.
    ///
    /// # Errors
    /// A sentence, when it is not a whole number from 1 to 4096.
    pub fn arcs(arcs: &str) -> Result<Self, String> {
        let arcs = parse_int(arcs).filter(|arcs| (1..=MAX_ARCS).contains(arcs));
        arcs.map(Self::Arcs)
            .ok_or_else(|| format!("points is not a whole number from 1 to {MAX_ARCS}"))
    }
}
