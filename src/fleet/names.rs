//! Names of replicas, and random numbers for the plan.
//!
//! The caller checks whether a name is taken. Names are short and without look-alikes, so that they
//! can be read over the phone: `s-` and six of a-z and 2-7, a billion in all.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;

use crate::roster::{BadReplicaName, ReplicaName};

/// Alphabet of the random part of a name.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Length of the random part of a name, in characters.
const LENGTH: usize = 6;

/// Place of the number in a pattern of names.
const NUMBER: &str = "{}";

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

/// Pattern of the names of the first replicas: `S{}` for S1, S2, S3 …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    before: String,
    after: String,
}

impl NamePattern {
    /// Returns the name of the replica with this number.
    ///
    /// # Errors
    /// The name is not legal.
    fn name(&self, number: usize) -> Result<ReplicaName, BadReplicaName> {
        format!("{}{number}{}", self.before, self.after).parse()
    }

    /// Returns the names of the first `count` replicas.
    pub(super) fn first_names(&self, count: usize) -> impl Iterator<Item = ReplicaName> {
        // The names of the least and the greatest number are legal, hence all are.
        (1..=count).filter_map(|number| self.name(number).ok())
    }
}

impl Default for NamePattern {
    fn default() -> Self {
        Self {
            before: "S".to_owned(),
            after: String::new(),
        }
    }
}

impl FromStr for NamePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (before, after) = match text.split_once(NUMBER) {
            Some((before, after)) if !after.contains(NUMBER) => (before, after),
            _ => return Err(format!("must contain {NUMBER} once, for the number")),
        };
        let pattern = Self {
            before: before.to_owned(),
            after: after.to_owned(),
        };
        for number in [1, usize::MAX] {
            pattern.name(number).map_err(|err| err.to_string())?;
        }
        Ok(pattern)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{NUMBER}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::MAX_NAME;

    #[test]
    fn first_names_follow_their_pattern() {
        let first_two = |pattern: &NamePattern| -> Vec<String> {
            pattern
                .first_names(2)
                .map(|name| name.to_string())
                .collect()
        };
        assert_eq!(first_two(&NamePattern::default()), ["S1", "S2"]);
        let pattern: NamePattern = "web-{}.eu".parse().unwrap();
        assert_eq!(first_two(&pattern), ["web-1.eu", "web-2.eu"]);
        assert_eq!(pattern.to_string(), "web-{}.eu");
        let longest = format!("{}{{}}", "a".repeat(MAX_NAME - 20));
        assert!(longest.parse::<NamePattern>().is_ok());
        for bad in ["", "S", "{}{}", "-{}", "a b{}", &format!("a{longest}")] {
            assert!(bad.parse::<NamePattern>().is_err(), "{bad}");
        }
    }

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
