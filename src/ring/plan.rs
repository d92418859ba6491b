//! What a ring gives to whom, and what another would change: asked before it is done.
//!
//! Pure. Shares are counted over [`SAMPLE`] keys, every 13th six-digit ID from 100,000 on. 13 shares no
//! factor with a power of two, so on rings of slots each residue is met equally often and the shares are
//! exact; on hashed rings a share is off by at most 0.4 percent points (two standard deviations).

use std::collections::BTreeMap;

use super::{Key, Ring, Seat};

/// How many keys are looked up to know a ring's shares.
pub const SAMPLE: u32 = 1 << 16;

/// The keys that are looked up.
fn keys() -> impl Iterator<Item = Key> {
    (0..u64::from(SAMPLE)).map(|n| Key(100_000 + 13 * n))
}

/// Which part of the keys each seat of a ring owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    owned: BTreeMap<Seat, u32>,
}

impl Shares {
    /// Counts the keys of each seat.
    #[must_use]
    pub fn of(ring: &dyn Ring) -> Self {
        Self::count(ring, keys().filter_map(|key| ring.owner(key)))
    }

    fn count(ring: &dyn Ring, owners: impl Iterator<Item = Seat>) -> Self {
        let mut owned: BTreeMap<Seat, u32> = ring.seats().iter().map(|seat| (*seat, 0)).collect();
        for owner in owners {
            *owned.entry(owner).or_default() += 1;
        }
        Self { owned }
    }

    /// The part that `seat` owns, from 0 to 1; `None` if it is not on the ring.
    #[must_use]
    pub fn share(&self, seat: Seat) -> Option<f64> {
        let owned = self.owned.get(&seat)?;
        Some(f64::from(*owned) / f64::from(SAMPLE))
    }

    /// All seats, ascending, with their parts.
    pub fn all(&self) -> impl Iterator<Item = (Seat, f64)> {
        let part = |(seat, owned): (&Seat, &u32)| (*seat, f64::from(*owned) / f64::from(SAMPLE));
        self.owned.iter().map(part)
    }

    /// The largest part beside the mean: 1 is even. `None` without seats.
    #[must_use]
    pub fn max_over_mean(&self) -> Option<f64> {
        let most = self.all().map(|(_, share)| share).max_by(f64::total_cmp)?;
        Some(most * self.seats())
    }

    /// The part of many requests for evenly spread keys that is served at home when no seat may have more
    /// than `bound` times the mean; 1 without a bound.
    #[must_use]
    pub fn home(&self, bound: Option<f64>) -> f64 {
        let most = bound.map_or(1.0, |bound| bound / self.seats());
        match self.owned.is_empty() {
            true => 0.0,
            false => self.all().map(|(_, share)| share.min(most)).sum(),
        }
    }

    fn seats(&self) -> f64 {
        self.all().map(|_| 1.0).sum()
    }
}

/// What a change of the ring would bring.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// As it is.
    pub before: Shares,
    /// As it would be.
    pub after: Shares,
    /// The part of the keys that would change their owner.
    pub moved: f64,
}

impl Forecast {
    /// Compares two rings, key by key.
    #[must_use]
    pub fn of(before: &dyn Ring, after: &dyn Ring) -> Self {
        let both = |key| (before.owner(key), after.owner(key));
        let owners: Vec<(Option<Seat>, Option<Seat>)> = keys().map(both).collect();
        let moved = owners.iter().filter(|(was, is)| was != is);
        let moved = moved.fold(0_u32, |count, _| count + 1);
        Self {
            before: Shares::count(before, owners.iter().filter_map(|(was, _)| *was)),
            after: Shares::count(after, owners.iter().filter_map(|(_, is)| *is)),
            moved: f64::from(moved) / f64::from(SAMPLE),
        }
    }
}
