//! Names of replicas, and random numbers for the plan.
//!
//! The caller checks whether a name is taken. Names are short and without look-alikes, so that they
//! can be read over the phone: `s-` and six of a-z and 2-7, a billion in all.

use rand::RngExt;

use crate::roster::ReplicaName;

/// Alphabet of the random part of a name.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Length of the random part of a name, in characters.
const LENGTH: usize = 6;

/// Draws a name such as `s-k3f7xq`.
pub(super) fn random_name() -> ReplicaName {
    loop {
        let mut name = String::from("s-");
        name.extend((0..LENGTH).map(|_| char::from(LETTERS[random_below(LETTERS.len())])));
        // Every such name is legal; the loop avoids an unwrap.
        if let Ok(name) = name.parse() {
            return name;
        }
    }
}

/// Draws a number from `0..n`; 0 if `n` is 0.
pub(super) fn random_below(n: usize) -> usize {
    rand::rng().random_range(0..n.max(1))
}

/// Returns the names S1, S2, S3 …
pub(super) fn first_names(count: usize) -> impl Iterator<Item = ReplicaName> {
    (1..=count).filter_map(|n| format!("S{n}").parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_look_as_documented() {
        for _ in 0..100 {
            let name = random_name();
            let (head, tail) = name.as_ref().split_at(2);
            assert_eq!((head, tail.len()), ("s-", LENGTH));
            assert!(tail.bytes().all(|byte| LETTERS.contains(&byte)), "{name}");
        }
    }
}
