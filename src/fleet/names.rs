//! Random names and random choices: the dice of the plan.
//!
//! Whether a name is taken is not asked here. Names are short and without look-alikes to read them over
//! the phone: `s-` and six of a-z and 2-7, a billion in all.

use rand::RngExt;

use crate::roster::ReplicaName;

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const LENGTH: usize = 6;

/// Draws a name such as `s-k3f7xq`.
pub(super) fn random_name() -> ReplicaName {
    loop {
        let mut name = String::from("s-");
        name.extend((0..LENGTH).map(|_| char::from(LETTERS[random_below(LETTERS.len())])));
        // Always legal; the loop is for the compiler.
        if let Ok(name) = name.parse() {
            return name;
        }
    }
}

/// Draws a number from `0..n`; 0 if `n` is 0.
pub(super) fn random_below(n: usize) -> usize {
    rand::rng().random_range(0..n.max(1))
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
