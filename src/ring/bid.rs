//! Weighted rendezvous hashing (Thaler and Ravishankar, 1998; Schindelhauer and Schomaker, 2005).
//! With u as a seat's score in (0,1] and w as its weight, the seat with the least -ln(u)/w owns the
//! key, and the next seats follow in that order.
//!
//! The order of two seats depends on these two alone. So a seat whose weight grows takes keys from
//! the others, a seat whose weight falls gives up keys, and no other key moves. Equal weights give
//! the order of the scores.
//!
//! The logarithm is computed with integers: a library's ln may round differently on another
//! machine. It is interpolated between 1,024 values and is off by at most 0.05 %, and so is a
//! share.

use std::cmp::Ordering;

use super::{Seat, Weight};

/// Bits behind the binary point of a logarithm. With the 6 bits before it and the 9 bits of a
/// weight, a product fits in 64 bits.
const FRACTION_BITS: u32 = 48;
/// Binary logarithm of the number of intervals between 1 and 2.
const INTERVAL_BITS: u32 = 10;
const INTERVALS: usize = 1 << INTERVAL_BITS;

/// Binary logarithms of 1, 1 + 1/1024 … 2, in 2^-48ths.
static LOGARITHMS: [u64; INTERVALS + 1] = logarithms();

/// Bid of a seat for a key. The greatest bid wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bid {
    /// -log2 of the score, in 2^-48ths; divided by the weight, the least wins.
    cost: u64,
    weight: Weight,
    /// Uniformly distributed hash of the key and the seat.
    score: u64,
    pub(super) seat: Seat,
}

impl Bid {
    /// Returns the bid of a seat with this score.
    pub(super) fn new(score: u64, weight: Weight, seat: Seat) -> Self {
        Self {
            cost: cost(score),
            weight,
            score,
            seat,
        }
    }
}

impl Ord for Bid {
    fn cmp(&self, other: &Self) -> Ordering {
        // Multiplied by both weights instead of divided, which would round.
        let ours = self.cost * u64::from(other.weight.get());
        let theirs = other.cost * u64::from(self.weight.get());
        let by_cost = theirs.cmp(&ours);
        by_cost.then((self.score, self.seat).cmp(&(other.score, other.seat)))
    }
}

impl PartialOrd for Bid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Returns -log2((score + 1) / 2^64), in 2^-48ths. It never grows with the score.
fn cost(score: u64) -> u64 {
    let Some(number) = score.checked_add(1) else {
        return 0;
    };
    let zeros = number.leading_zeros();
    // The mantissa is in 1..2, with 63 bits behind the point.
    let mantissa = (number << zeros) & (u64::MAX >> 1);
    let interval = (mantissa >> (63 - INTERVAL_BITS)) as usize;
    let (low, high) = (LOGARITHMS[interval], LOGARITHMS[interval + 1]);
    // 24 bits of the rest are finer than the error of the interpolation.
    let rest = (mantissa >> (63 - INTERVAL_BITS - 24)) & ((1 << 24) - 1);
    let fraction = low + (((high - low) * rest) >> 24);
    ((u64::from(zeros) + 1) << FRACTION_BITS) - fraction
}

/// Computes the table bit by bit: squaring a number doubles its logarithm.
const fn logarithms() -> [u64; INTERVALS + 1] {
    let mut table = [0; INTERVALS + 1];
    // The last one is log2(2).
    table[INTERVALS] = 1 << FRACTION_BITS;
    let mut at = 0;
    while at < INTERVALS {
        // A number in 1..2, with 62 bits behind the point.
        let mut number = ((INTERVALS + at) as u128) << (62 - INTERVAL_BITS);
        let mut bit = 0;
        while bit < FRACTION_BITS {
            number = (number * number) >> 62;
            table[at] *= 2;
            if number >> 63 != 0 {
                number >>= 1;
                table[at] += 1;
            }
            bit += 1;
        }
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_logarithms() {
        let unit = 2_f64.powi(48);
        assert_eq!(cost(u64::MAX), 0);
        assert_eq!(cost(0), 64 << FRACTION_BITS);
        assert_eq!(cost((1 << 63) - 1), 1 << FRACTION_BITS);
        for n in 0..100_000_u64 {
            let score = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let exact = 64.0 - (score as f64 + 1.0).log2();
            let found = cost(score) as f64 / unit;
            assert!(
                (found - exact).abs() <= 0.0005 * exact,
                "{score}: {found} {exact}"
            );
        }
    }

    #[test]
    fn costs_never_grow_with_the_score() {
        // Around the borders of the intervals, where two lines meet.
        for border in 0..INTERVALS as u64 {
            let around = (1 << 63) | (border << (63 - INTERVAL_BITS));
            for shift in [0, 1, 33, 53] {
                let score = around >> shift;
                let costs = [score - 2, score - 1, score, score.saturating_add(1)].map(cost);
                assert!(
                    costs.is_sorted_by(|one, next| one >= next),
                    "{score} {costs:?}"
                );
            }
        }
    }

    #[test]
    fn a_greater_weight_bids_more_and_equal_ones_bid_by_score() {
        let weight = |number: u64| Weight::try_from(number).unwrap();
        for n in 1..10_000_u64 {
            let score = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let other = score.wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let bid = |score, number| Bid::new(score, weight(number), Seat(1));
            assert!(bid(score, 2) >= bid(score, 1));
            assert_eq!(bid(score, 256).cmp(&bid(other, 256)), score.cmp(&other));
            let rises = [1, 2, 3, 17, 255, 256].map(|number| bid(score, number) > bid(other, 3));
            assert!(rises.is_sorted(), "{score}");
        }
    }
}
