//! The types of a ring's input and output: [`Key`] and [`Seat`].

use std::fmt;

/// Numbered, stable place on the ring, counted from 1. Its number is the replica's `SERVER_ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub u32);

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Hash key of a request: its request ID as an integer, or a hash of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub u64);

impl Key {
    /// Parses up to 19 digits as that integer; any other text gives xxh3-64 (seed 0) of its bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let integer =
            !bytes.is_empty() && bytes.len() <= 19 && bytes.iter().all(u8::is_ascii_digit);
        if integer {
            Self(
                bytes
                    .iter()
                    .fold(0, |n, digit| n * 10 + u64::from(digit - b'0')),
            )
        } else {
            Self(xxhash_rust::xxh3::xxh3_64(bytes))
        }
    }

    /// Returns xxh3-64 (seed 5) of its 8 little-endian bytes. No ring uses this hash, so it divides
    /// the keys of each seat evenly.
    #[must_use]
    pub fn second_hash(self) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(&self.0.to_le_bytes(), 5)
    }

    /// Parses a key as a user types it, who may have it from the access log. There a hash can be
    /// `xxh3:` and 16 hexadecimal digits, which stand for themselves.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let digits = text
            .strip_prefix(b"xxh3:")
            .filter(|digits| digits.len() == 16 && digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let hash = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        hash.map_or_else(|| Self::from_bytes(text), Self)
    }
}

/// Formats the key for [`Key::parse`]: in up to 19 digits where they suffice.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 < 10_u64.pow(19) {
            true => self.0.fmt(f),
            false => write!(f, "xxh3:{:016x}", self.0),
        }
    }
}
