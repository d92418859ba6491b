//! Positions on a circle of 2^64, and its division into equal slots.

/// Returns the middle of slot `slot` of `slots` on a circle of 2^64 positions.
pub(super) fn arc_middle(slot: u64, slots: u64) -> u64 {
    let middle = ((2 * u128::from(slot) + 1) << 63) / u128::from(slots);
    u64::try_from(middle).unwrap_or(u64::MAX)
}

/// Returns the slot of `slots` that contains `place`.
pub(super) fn slot(place: u64, slots: u64) -> u64 {
    let slot = (u128::from(place) * u128::from(slots)) >> 64;
    u64::try_from(slot).unwrap_or(u64::MAX)
}
