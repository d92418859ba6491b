//! Which ring is asked for, as typed (`uniform`, `classic`) and as built.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Classic, Ring, RingError, Seat, Uniform};

/// A kind of ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spec {
    /// 1000 points per seat on a 64-bit ring.
    #[default]
    Uniform,
    /// The coursework ring: 512 slots, 9 virtual servers per seat.
    Classic,
}

/// A text that names no ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown ring '{0}': use uniform or classic")]
pub struct ParseSpecError(String);

impl Spec {
    /// Builds the ring of `seats`.
    ///
    /// # Errors
    /// When a seat does not fit on this kind of ring.
    pub fn build(self, seats: &BTreeSet<Seat>) -> Result<Arc<dyn Ring>, RingError> {
        Ok(match self {
            Self::Uniform => Arc::new(Uniform::new(seats)),
            Self::Classic => Arc::new(Classic::new(seats)?),
        })
    }
}

impl FromStr for Spec {
    type Err = ParseSpecError;

    fn from_str(text: &str) -> Result<Self, ParseSpecError> {
        match text {
            "uniform" => Ok(Self::Uniform),
            "classic" => Ok(Self::Classic),
            other => Err(ParseSpecError(other.to_owned())),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Classic => "classic",
        })
    }
}
