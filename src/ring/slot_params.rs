//! Parameters of a slot ring: its two functions, its size, and the probing past taken slots.
//!
//! The coursework's functions, and those of a common misprint of it, are computed here; others are
//! expressions. Parameters are invalid if H has no value for a key.

use super::Key;
use super::checked::ArithmeticError;
use super::expr::{Expr, ParseExprError};

/// Modulus that reduces keys before H, so that H can be proven to have a value for all of them.
pub(super) const KEY_MODULUS: u64 = 1 << 30;
/// Maximum number of slots, so that every ring is built quickly.
pub(super) const MAX_SLOTS: u32 = 2048;
/// H of the coursework, as an expression.
pub(super) const COURSEWORK_H: &str = "i^2+2*i+17";
/// Φ of the coursework.
pub(super) const COURSEWORK_PHI: &str = "i^2+j^2+2*j+25";

/// Probing past a taken slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probing {
    /// The next slot, and so on.
    Linear,
    /// 1, 4, 9 … slots further on, and if those are all taken, the next free one.
    Quadratic,
}

/// Function of a slot ring: H of a key, or Φ of a seat and a virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashFn {
    /// H(i) = i² + 2i + 17, Φ(i,j) = i² + j² + 2j + 25.
    Coursework,
    /// H(i) = i + 2i² + 17, Φ(i,j) = i + j + 2j² + 25.
    Brief,
    /// An expression.
    Custom(Expr),
}

/// Parameters of a slot ring, without its seats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRingParams {
    /// Function that gives a key's slot.
    pub h: HashFn,
    /// Function that gives a virtual server's preferred slot.
    pub phi: HashFn,
    /// Slots on the circle, up to [`MAX_SLOTS`].
    pub slots: u32,
    /// Virtual servers of each seat, at most one for each slot.
    pub vnodes: u32,
    /// Probing if the preferred slot is taken.
    pub probe: Probing,
}

/// Reason for which a function is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHashFn {
    /// The text is not an expression.
    #[error("{0} {1}")]
    Text(&'static str, ParseExprError),
    /// H has no value for this key.
    #[error("h {0} at i={1}, and i may be any number below 2^30")]
    At(ArithmeticError, i64),
    /// Bounds cannot show that H has a value for every key.
    #[error("h possibly {0} for some i below 2^30")]
    Somewhere(ArithmeticError),
}

impl SlotRingParams {
    /// Returns the coursework's parameters with these functions.
    pub(super) fn with_functions(function: &HashFn) -> Self {
        Self {
            h: function.clone(),
            phi: function.clone(),
            slots: 512,
            vnodes: 9,
            probe: Probing::Linear,
        }
    }

    /// Returns the highest seat that has a free slot for each of its virtual servers.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.slots / self.vnodes.max(1)
    }

    /// Returns the slot at which the search for the owner of `key` starts.
    pub(super) fn start(&self, key: Key) -> usize {
        self.slot(self.h.h(key))
    }

    /// Returns the slot of a value; negative values count from the end.
    pub(super) fn slot(&self, value: i64) -> usize {
        usize::try_from(value.rem_euclid(i64::from(self.slots))).unwrap_or(0)
    }
}

impl HashFn {
    /// Parses an H, and checks that it has a value for every key.
    ///
    /// # Errors
    /// If it is not an expression, or may have no value.
    pub fn parse_h(text: &str) -> Result<Self, BadHashFn> {
        if text == COURSEWORK_H {
            return Ok(Self::Coursework);
        }
        let h = Expr::parse(text).map_err(|err| BadHashFn::Text("h", err))?;
        if h.has_j() {
            return Err(BadHashFn::Text("h", ParseExprError::OnlyI));
        }
        let highest = i64::try_from(KEY_MODULUS - 1).unwrap_or(i64::MAX);
        let Err(error) = h.bounds(highest) else {
            return Ok(Self::Custom(h));
        };
        // An example is more helpful; if only the bounds fail, there may be none.
        let mut examples = (0..64).chain([highest]);
        Err(examples
            .find_map(|i| Some(BadHashFn::At(h.at(i, 0).err()?, i)))
            .unwrap_or(BadHashFn::Somewhere(error)))
    }

    /// Parses a Φ. The placement of a seat checks whether it has a value.
    ///
    /// # Errors
    /// If it is not an expression.
    pub fn parse_phi(text: &str) -> Result<Self, BadHashFn> {
        if text == COURSEWORK_PHI {
            return Ok(Self::Coursework);
        }
        let phi = Expr::parse(text).map_err(|err| BadHashFn::Text("phi", err))?;
        Ok(Self::Custom(phi))
    }

    /// Returns H of `key`.
    fn h(&self, key: Key) -> i64 {
        // The value is below 2^30, far from overflow.
        let i = i64::try_from(key.0 % KEY_MODULUS).unwrap_or(0);
        match self {
            Self::Coursework => i * i + 2 * i + 17,
            Self::Brief => i + 2 * i * i + 17,
            // H has a value: `parse_h` has checked that for all keys.
            Self::Custom(h) => h.at(i, 0).unwrap_or(0),
        }
    }

    /// Returns the operands that the library evaluates for a value; a built-in function counts as
    /// one.
    pub(super) fn operands(&self) -> u32 {
        match self {
            Self::Coursework | Self::Brief => 1,
            Self::Custom(expr) => expr.operands(),
        }
    }

    /// Returns Φ of virtual server `vnode` of `seat`.
    pub(super) fn phi(&self, seat: u32, vnode: u32) -> Result<i64, ArithmeticError> {
        let (i, j) = (i64::from(seat), i64::from(vnode));
        // Seats and virtual servers do not outnumber the slots, so nothing overflows.
        Ok(match self {
            Self::Coursework => i * i + j * j + 2 * j + 25,
            Self::Brief => i + j + 2 * j * j + 25,
            Self::Custom(phi) => phi.at(i, j)?,
        })
    }
}
