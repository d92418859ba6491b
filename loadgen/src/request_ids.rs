//! Request IDs: six random digits that depend only on the seed and the number of the request. A run
//! can thus be repeated with any number of connections. Pure.
//!
//! The generator is written out because a crate may change its output with a new version.

/// Smallest ID, and number of IDs: 100000 to 999999.
const FIRST_ID: u64 = 100_000;
const ID_COUNT: u64 = 900_000;

/// Increment of SplitMix64: 2^64 divided by the golden ratio.
pub(crate) const SPLITMIX64_INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

/// ID of request number `index`, counted from 0.
pub(crate) fn request_id(seed: u64, index: u64) -> u64 {
    // The upper half of the product is `random × ID_COUNT / 2^64`: even to within 2^-44.
    let scaled = (u128::from(splitmix64(seed, index)) * u128::from(ID_COUNT)) >> 64;
    FIRST_ID + u64::try_from(scaled).unwrap_or_default()
}

/// All IDs.
pub(crate) fn all_ids() -> impl Iterator<Item = u64> {
    FIRST_ID..FIRST_ID + ID_COUNT
}

/// Output number `index` of SplitMix64 (Steele, Lea, Flood 2014) with this seed.
fn splitmix64(seed: u64, index: u64) -> u64 {
    let steps = index.wrapping_add(1).wrapping_mul(SPLITMIX64_INCREMENT);
    splitmix64_finalizer(seed.wrapping_add(steps))
}

/// Mixes all bits of `x`: the finalizer of SplitMix64.
pub(crate) fn splitmix64_finalizer(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let first: Vec<u64> = (0..3).map(|index| splitmix64(1_234_567, index)).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn ids_have_six_digits_and_fill_their_range_evenly() {
        let mut tenths = [0u32; 10];
        for index in 0..90_000 {
            let id = request_id(7, index);
            assert!((100_000..=999_999).contains(&id), "{id}");
            tenths[usize::try_from((id - FIRST_ID) * 10 / ID_COUNT).unwrap()] += 1;
        }
        // 9,000 each, standard deviation 90.
        assert!(
            tenths.iter().all(|n| (8_550..9_450).contains(n)),
            "{tenths:?}"
        );
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(request_id(1, 0), request_id(2, 0));
        assert_eq!(request_id(1, 5), request_id(1, 5));
    }
}
