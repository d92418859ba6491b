//! Weight of a seat: how many shares of the keys it takes, compared with a seat of weight 1.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use super::Seat;

/// Shares of a seat, from 1 to [`Weight::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

impl Weight {
    /// Weight of a seat for which none is given.
    pub const ONE: Self = Self(1);
    /// Largest weight, which is that of HAProxy.
    pub const MAX: u16 = 256;

    /// Returns the number of shares.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

/// Error for a number that is not a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWeight {
    /// Zero, which other balancers use to take a server out of service.
    #[error("a weight is at least 1; 'drain NAME' keeps new requests from a replica")]
    Zero,
    /// Not a whole number, or too large.
    #[error("a weight is a whole number from 1 to {}", Weight::MAX)]
    Range,
}

impl TryFrom<u64> for Weight {
    type Error = BadWeight;

    fn try_from(number: u64) -> Result<Self, BadWeight> {
        match u16::try_from(number) {
            Ok(0) => Err(BadWeight::Zero),
            Ok(number) if number <= Self::MAX => Ok(Self(number)),
            _ => Err(BadWeight::Range),
        }
    }
}

impl FromStr for Weight {
    type Err = BadWeight;

    fn from_str(text: &str) -> Result<Self, BadWeight> {
        // Rust's parser accepts a leading `+`, which is not part of the syntax.
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadWeight::Range);
        }
        let number: u64 = text.parse().map_err(|_| BadWeight::Range)?;
        number.try_into()
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Weights of seats. Only those above 1 are stored, so that equal weights compare equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights(BTreeMap<Seat, Weight>);

impl Weights {
    /// Weight 1 for every seat.
    pub const NONE: Self = Self(BTreeMap::new());

    /// Returns the weight of `seat`.
    #[must_use]
    pub fn of(&self, seat: Seat) -> Weight {
        self.0.get(&seat).copied().unwrap_or_default()
    }

    /// Returns the seats of a weight above 1, ascending, with their weights.
    pub fn above_one(&self) -> impl Iterator<Item = (Seat, Weight)> {
        self.0.iter().map(|(seat, weight)| (*seat, *weight))
    }

    /// Returns these weights with another one for `seat`.
    #[must_use]
    pub fn with(&self, seat: Seat, weight: Weight) -> Self {
        let others = self.above_one().filter(|(other, _)| *other != seat);
        others.chain([(seat, weight)]).collect()
    }

    /// Returns the weights of these seats alone.
    #[must_use]
    pub fn of_seats(&self, seats: &BTreeSet<Seat>) -> Self {
        let kept = self.above_one().filter(|(seat, _)| seats.contains(seat));
        kept.collect()
    }

    /// Returns `true` if these seats do not all have the same weight.
    #[must_use]
    pub fn differ_among(&self, seats: &BTreeSet<Seat>) -> bool {
        let mut weights = seats.iter().map(|seat| self.of(*seat));
        let first = weights.next();
        weights.any(|weight| Some(weight) != first)
    }
}

impl FromIterator<(Seat, Weight)> for Weights {
    fn from_iter<I: IntoIterator<Item = (Seat, Weight)>>(weights: I) -> Self {
        let weights = weights.into_iter();
        Self(
            weights
                .filter(|(_, weight)| *weight != Weight::ONE)
                .collect(),
        )
    }
}
