//! Self-suspicion: when more than half of the seats fall silent within one heartbeat interval, this
//! process probably hung.
//!
//! Then silent replicas are not replaced for a while, and one seat at a time afterwards. Replicas
//! that are dead for certain are replaced regardless.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time without replacements of silent replicas after a mass silence.
const MASS_SILENCE_HOLD: Duration = Duration::from_secs(2);
/// Smallest fleet in which "more than half" suggests a fault of this process.
const MASS_SILENCE_SEATS: usize = 3;

/// Recent silences of seats, and the hold on replacements that follows from them.
#[derive(Debug, Default)]
pub(super) struct MassSilence {
    /// Times at which seats fell silent, within the last interval.
    recent: VecDeque<Instant>,
    /// End of the hold. It stays set until no seat is silent; replacements are one at a time
    /// meanwhile.
    held_until: Option<Instant>,
}

impl MassSilence {
    /// Returns the end of the hold, which may have passed.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held_until
    }

    /// Records that a seat fell silent. Returns the number of seats that did so within `interval`.
    pub(super) fn record(&mut self, now: Instant, interval: Duration) -> usize {
        self.recent.retain(|at| now - *at <= interval);
        self.recent.push_back(now);
        self.recent.len()
    }

    /// Returns `true` if a hold is to begin with `silent` of `wanted` seats. One hold lasts until
    /// no seat is silent.
    pub(super) fn should_hold(&self, silent: usize, wanted: usize) -> bool {
        let many = wanted >= MASS_SILENCE_SEATS && 2 * silent > wanted;
        many && self.held_until.is_none()
    }

    /// Begins a hold.
    pub(super) fn hold(&mut self, now: Instant) {
        self.held_until = Some(now + MASS_SILENCE_HOLD);
    }

    /// Ends the hold.
    pub(super) fn release(&mut self) {
        self.held_until = None;
    }

    /// Returns how many silent seats may get a successor, when `filling` of them have one already.
    pub(super) fn allowed(&self, now: Instant, filling: usize) -> usize {
        match self.held_until {
            None => usize::MAX,
            Some(until) if now < until => 0,
            Some(_) => 1_usize.saturating_sub(filling),
        }
    }
}
