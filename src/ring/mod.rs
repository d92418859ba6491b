//! The ring: a pure function from (set of seats, ring spec) to "who owns this key, and who is next".
//!
//! It owns the words [`Seat`] and [`Key`] and knows nothing of replicas, addresses or health: a seat
//! whose replica is down stays on the ring and is skipped by the caller, so only its own keys move,
//! and they come back. No file of this folder touches a socket, a clock or a random source.

mod arcs;
mod checked;
mod classic;
mod expr;
pub mod forecast;
mod jump;
mod maglev;
mod rendezvous;
mod slot_params;
mod spec;
mod uniform;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

pub use arcs::ArcOwners;
pub use checked::ArithmeticError;
pub use classic::Classic;
pub use expr::{Expr, ParseExprError};
pub use jump::Jump;
pub use maglev::Maglev;
pub use rendezvous::Rendezvous;
pub use slot_params::{BadHashFn, HashFn, Probing, SlotRingParams};
pub use spec::{CUSTOM_USAGE, NAMED, ParseSpecError, Spec};
pub use uniform::Uniform;

/// A numbered, stable place on the ring, counted from 1. Its number is the replica's `SERVER_ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub u32);

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a request is hashed by: its request ID as an integer, or a hash of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub u64);

impl Key {
    /// Up to 19 digits are that integer; anything else is xxh3-64 (seed 0) of its bytes.
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

    /// The same for a key that somebody types, who may have it from the access log: there a hash can be
    /// `xxh3:` and 16 hexadecimal digits, which stands for itself.
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

/// As [`Key::typed`] reads it: in up to 19 digits where they suffice.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 < 10_u64.pow(19) {
            true => self.0.fmt(f),
            false => write!(f, "xxh3:{:016x}", self.0),
        }
    }
}

/// Who owns a key, and who is next. Every ring is built from a *set* of seats: the order in which
/// they came does not matter.
pub trait Ring: fmt::Debug + Send + Sync {
    /// The seat the ring alone gives `key` (its home); `None` when the ring has no seat.
    fn owner(&self, key: Key) -> Option<Seat>;

    /// Visits every seat once, the owner first, then in the order in which they stand in for it,
    /// until `visit` breaks.
    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>);

    /// Where `key` looks on the circle, in 2^-64ths of a turn; `None` when this kind has no circle.
    fn place(&self, _key: Key) -> Option<u64> {
        None
    }

    /// Who owns the keys that look at `place`, in 2^-64ths of a turn; `None` when this kind has no circle, or
    /// the ring no seat.
    fn owner_at(&self, _place: u64) -> Option<Seat> {
        None
    }

    /// Number of keys that are looked up to know its shares: a power of two.
    fn sample(&self) -> u32 {
        forecast::SAMPLE
    }

    /// The seats it was built from, ascending.
    fn seats(&self) -> &BTreeSet<Seat>;

    /// What kind it is.
    fn spec(&self) -> Spec;

    /// The ring of the same kind for other seats: what [`Spec::build`] makes, but a kind may reuse
    /// parts of this ring to be faster.
    ///
    /// # Errors
    /// As [`Spec::build`].
    fn reseated(&self, seats: &BTreeSet<Seat>) -> Result<Arc<dyn Ring>, RingError> {
        self.spec().build(seats)
    }
}

/// Visits each of `count` distinct seats where it is met first.
fn each_once(
    seats: impl Iterator<Item = Seat>,
    count: usize,
    visit: &mut dyn FnMut(Seat) -> ControlFlow<()>,
) {
    let mut met = BTreeSet::new();
    for seat in seats {
        if met.insert(seat) && (visit(seat).is_break() || met.len() == count) {
            return;
        }
    }
}

/// The middle of slot `slot` of `slots` on a circle of 2^64 places.
fn arc_middle(slot: u64, slots: u64) -> u64 {
    let middle = ((2 * u128::from(slot) + 1) << 63) / u128::from(slots);
    u64::try_from(middle).unwrap_or(u64::MAX)
}

/// The slot of `slots` in which `place` lies.
fn slot(place: u64, slots: u64) -> u64 {
    let slot = (u128::from(place) * u128::from(slots)) >> 64;
    u64::try_from(slot).unwrap_or(u64::MAX)
}

/// A ring that cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// All slots are taken.
    #[error("ring {ring} has room for seats 1 to {capacity}, not for seat {seat}")]
    Full {
        /// Which ring.
        ring: Spec,
        /// The highest seat number it can hold.
        capacity: u32,
        /// The seat that does not fit.
        seat: Seat,
    },
    /// A typed function has no value.
    #[error("phi {fault} at i={seat}, j={vnode}")]
    NoPlace {
        /// The seat's number.
        seat: u32,
        /// Its virtual server.
        vnode: u32,
        /// Why.
        fault: ArithmeticError,
    },
}

#[cfg(test)]
mod tests;
