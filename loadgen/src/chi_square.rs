//! Distance of counts from expected shares, and the limit that random draws keep. Pure.
//!
//! The distance is Pearson's chi-square sum. For independent draws it exceeds the limit in 5 % of
//! loads, so a single load above it proves nothing. Several loads are judged by how many are above.
//! The loads of a seed have the same IDs, so all of them may be above together; the number of seeds
//! above the limit is binomial.

use std::collections::BTreeSet;

use crate::float::as_f64;

/// 95 % point of the standard normal distribution.
const NORMAL_95: f64 = 1.644_854;

/// Probability that a load of random draws is above the limit.
const ABOVE_95: f64 = 0.05;

/// Multiple of the limit that random draws practically never exceed. The probability is 1 in 80,000
/// for two servers, 1 in 2,800,000 for three, and lower for more.
const FAR_FACTOR: f64 = 5.0;

/// Smallest expected count for which the limit holds (Cochran 1954).
const MIN_EXPECTED: f64 = 5.0;

/// Judgement on the distance from expected shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The expected counts are too small.
    Unknown,
    /// As near as random draws are.
    Near,
    /// Farther than 95 % of random draws.
    Doubtful,
    /// Farther than random draws practically ever are.
    Far,
}

/// Judgement on the counts of one load against equal shares.
pub(crate) fn judge_equal(counts: &[u64]) -> Judgement {
    let shares = vec![1.0 / as_f64(counts.len() as u64); counts.len()];
    let mut tally = Tally::default();
    tally.add(0, counts, &shares);
    tally.judge()
}

/// Sum of squared distances from the expected counts, each relative to the expected count.
pub(crate) fn sum(counts: &[u64], shares: &[f64]) -> f64 {
    let total = as_f64(counts.iter().sum());
    let pairs = counts.iter().zip(shares);
    let distance = |(count, share): (&u64, &f64)| match (share * total, as_f64(*count)) {
        (0.0, 0.0) => 0.0,
        (expected, count) => (count - expected).powi(2) / expected,
    };
    pairs.map(distance).sum()
}

/// Limit that random draws stay below in 95 % of loads (Wilson and Hilferty 1931; less than 3 %
/// low).
pub(crate) fn limit_95(freedom: u64) -> f64 {
    let freedom = as_f64(freedom);
    let spread = 2.0 / (9.0 * freedom);
    freedom * (1.0 - spread + NORMAL_95 * spread.sqrt()).powi(3)
}

/// Loads, and how many of them are above the limit.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    loads: u64,
    above: u64,
    seeds: BTreeSet<u64>,
    far: u64,
    /// Loads with too small expected counts.
    small: u64,
}

impl Tally {
    /// Adds a load of the IDs of `seed` with these counts and expected shares.
    pub(crate) fn add(&mut self, seed: u64, counts: &[u64], shares: &[f64]) {
        self.seeds.insert(seed);
        let total = as_f64(counts.iter().sum());
        let used = shares.iter().filter(|share| **share > 0.0);
        let freedom = (used.clone().count() as u64).saturating_sub(1).max(1);
        let (sum, limit) = (sum(counts, shares), limit_95(freedom));
        self.loads += 1;
        self.above += u64::from(sum >= limit);
        self.far += u64::from(sum > FAR_FACTOR * limit);
        let smallest = used.copied().fold(1.0, f64::min) * total;
        self.small += u64::from(smallest < MIN_EXPECTED);
    }

    /// Largest number of loads above the limit that random draws have in 95 % of experiments, if
    /// all loads of a seed are above together.
    fn allowed(&self) -> u64 {
        let seeds = (self.seeds.len() as u64).max(1);
        allowed_seeds(seeds) * self.loads.div_ceil(seeds)
    }

    /// Judges all loads together.
    pub(crate) fn judge(&self) -> Judgement {
        match self {
            _ if self.loads == 0 || self.small > 0 => Judgement::Unknown,
            _ if self.far > 0 => Judgement::Far,
            _ if self.above > self.allowed() => Judgement::Doubtful,
            _ => Judgement::Near,
        }
    }

    /// The numbers as a clause: `1 of 25 loads is above the 95 % limit of random draws, which …`.
    pub(crate) fn clause(&self) -> String {
        let Self { loads, above, .. } = self;
        let are = if *above == 1 { "is" } else { "are" };
        format!(
            "{above} of {loads} loads {are} above the 95 % limit of chi-square; random draws have up to {} there",
            self.allowed()
        )
    }
}

/// Largest number of `seeds` above the limit in 95 % of experiments: a quantile of the binomial
/// distribution.
fn allowed_seeds(seeds: u64) -> u64 {
    let (mut exactly, mut at_most) = ((1.0 - ABOVE_95).powf(as_f64(seeds)), 0.0);
    for above in 0..seeds {
        at_most += exactly;
        if at_most >= 1.0 - ABOVE_95 {
            return above;
        }
        let odds = ABOVE_95 / (1.0 - ABOVE_95);
        exactly *= as_f64(seeds - above) / as_f64(above + 1) * odds;
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_close_to_published_tables() {
        for (freedom, exact) in [(1, 3.841), (2, 5.991), (5, 11.070), (15, 24.996)] {
            let error = limit_95(freedom) / exact - 1.0;
            assert!(error.abs() < 0.03, "{freedom}: {error}");
        }
    }

    #[test]
    fn the_sum_is_that_of_the_textbook() {
        let found = sum(&[44, 56], &[0.5, 0.5]);
        assert!((found - 1.44).abs() < 1e-9, "{found}");
        let found = sum(&[90, 10, 0], &[0.8, 0.2, 0.0]);
        assert!((found - 6.25).abs() < 1e-9, "{found}");
        assert_eq!(sum(&[9, 1], &[1.0, 0.0]), f64::INFINITY);
    }

    #[test]
    fn the_allowed_number_is_the_binomial_quantile() {
        // P(X ≤ 2) = 0.873 and P(X ≤ 3) = 0.966 for 25 loads.
        for (seeds, allowed) in [(1, 0), (5, 1), (25, 3), (100, 9)] {
            assert_eq!(allowed_seeds(seeds), allowed, "{seeds}");
        }
    }

    #[test]
    fn a_seed_may_be_above_in_all_of_its_loads() {
        let mut tally = Tally::default();
        for seed in 0..5 {
            for _ in 0..5 {
                let counts = if seed == 3 { [460, 540] } else { [500, 500] };
                tally.add(seed, &counts, &[0.5, 0.5]);
            }
        }
        assert_eq!((tally.above, tally.judge()), (5, Judgement::Near));
        assert!(tally.clause().ends_with("have up to 5 there"));
        tally.add(4, &[460, 540], &[0.5, 0.5]);
        tally.add(4, &[460, 540], &[0.5, 0.5]);
        assert_eq!((tally.above, tally.judge()), (7, Judgement::Doubtful));
    }

    #[test]
    fn loads_are_judged_together() {
        let tally = |loads: &[&[u64]]| {
            let mut tally = Tally::default();
            for (seed, counts) in (0..).zip(loads) {
                tally.add(seed, counts, &[0.5, 0.5]);
            }
            (tally.judge(), tally.above)
        };
        let (near, above, far): (&[u64], &[u64], &[u64]) = (&[500, 500], &[460, 540], &[300, 700]);
        assert_eq!(tally(&[near; 5]), (Judgement::Near, 0));
        assert_eq!(
            tally(&[near, near, above, near, near]),
            (Judgement::Near, 1)
        );
        assert_eq!(tally(&[near, above, above]), (Judgement::Doubtful, 2));
        assert_eq!(tally(&[near, far]), (Judgement::Far, 1));
        assert_eq!(tally(&[&[3, 4]]), (Judgement::Unknown, 0));
        assert_eq!(tally(&[]), (Judgement::Unknown, 0));
    }
}
