//! Random choices of the model, from a seed.

use super::*;

/// SplitMix64 generator: small, and the same on every platform.
pub(super) struct Dice {
    pub(super) state: u64,
    pub(super) answers: BTreeMap<ReplicaId, Instant>,
    /// Replica with a request with which another replica fell silent before.
    pub(super) slow: Option<ReplicaId>,
}

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides).unwrap();
        usize::try_from((z ^ (z >> 31)) % sides).unwrap()
    }

    pub(super) fn millis(&mut self, below: usize) -> Duration {
        let millis = self.roll(below);
        Duration::from_millis(u64::try_from(millis).unwrap())
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.roll(from.len())])
    }
}

impl Environment for Dice {
    /// Draws from a small pool, so that names collide.
    fn name(&mut self) -> ReplicaName {
        format!("r{}", self.roll(40)).parse().unwrap()
    }

    fn below(&mut self, n: usize) -> usize {
        self.roll(n)
    }

    fn last_answer(&self, id: ReplicaId) -> Option<Instant> {
        self.answers.get(&id).copied()
    }

    /// Returns traffic that explains the silence of one replica.
    fn traffic(&self, id: ReplicaId) -> Traffic {
        Traffic {
            slow: u64::from(self.slow == Some(id)),
            ..Traffic::default()
        }
    }
}
