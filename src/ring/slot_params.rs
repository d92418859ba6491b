//! How a ring of slots is made: its two functions, its size, and how a taken slot is got round.
//!
//! The coursework's functions, and those of a common misprint of it, are computed here; others are typed
//! as expressions. A recipe whose H has no value for some key cannot be made.

use super::Key;
use super::checked::ArithmeticError;
use super::expr::{Expr, ParseExprError};

/// Keys are reduced modulo this before H, so that H can be known to work for all of them.
pub(super) const KEY_MODULUS: u64 = 1 << 30;
/// The most slots, so that no recipe takes long to build.
pub(super) const MAX_SLOTS: u32 = 2048;
/// H of the coursework, as an expression.
pub(super) const COURSEWORK_H: &str = "i^2+2*i+17";
/// Φ of the coursework.
pub(super) const COURSEWORK_PHI: &str = "i^2+j^2+2*j+25";

/// How a taken slot is got round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probing {
    /// The next, and the next.
    Linear,
    /// 1, 4, 9 … further on, and when those are all taken, the next free one.
    Quadratic,
}

/// A function of a recipe: H of a key, or Φ of a seat and a virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashFn {
    /// H(i) = i² + 2i + 17, Φ(i,j) = i² + j² + 2j + 25.
    Coursework,
    /// H(i) = i + 2i² + 17, Φ(i,j) = i + j + 2j² + 25.
    Brief,
    /// An expression.
    Typed(Expr),
}

/// All about a ring of slots but its seats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRingParams {
    /// Where a key looks.
    pub h: HashFn,
    /// Where a virtual server wishes to be.
    pub phi: HashFn,
    /// Slots on the circle, up to [`MAX_SLOTS`].
    pub slots: u32,
    /// Virtual servers of each seat, at most one for each slot.
    pub vnodes: u32,
    /// What becomes of a virtual server whose slot is taken.
    pub probe: Probing,
}

/// Why there is no such recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHashFn {
    /// It cannot be read.
    #[error("{0} {1}")]
    Text(&'static str, ParseExprError),
    /// H has no value for this key.
    #[error("h {0} at i={1}, and i may be any number below 2^30")]
    At(ArithmeticError, i64),
    /// Bounds cannot tell that H has a value for every key.
    #[error("h may be one that {0} for some i below 2^30")]
    Somewhere(ArithmeticError),
}

impl SlotRingParams {
    /// The coursework's, with these functions.
    pub(super) fn hash_fn(formula: &HashFn) -> Self {
        Self {
            h: formula.clone(),
            phi: formula.clone(),
            slots: 512,
            vnodes: 9,
            probe: Probing::Linear,
        }
    }

    /// The highest seat that finds a free slot for each of its virtual servers.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.slots / self.vnodes.max(1)
    }

    /// The slot at which the search for the owner of `key` begins.
    pub(super) fn start(&self, key: Key) -> usize {
        self.slot(self.h.h(key))
    }

    /// The slot of a value, negative ones counted from the end.
    pub(super) fn slot(&self, value: i64) -> usize {
        usize::try_from(value.rem_euclid(i64::from(self.slots))).unwrap_or(0)
    }
}

impl HashFn {
    /// Reads an H, and makes sure that it has a value for every key.
    ///
    /// # Errors
    /// When it cannot be read, or may have none.
    pub fn parse_h(text: &str) -> Result<Self, BadHashFn> {
        if text == COURSEWORK_H {
            return Ok(Self::Coursework);
        }
        let h = Expr::parse(text).map_err(|err| BadHashFn::Text("h", err))?;
        if h.has_j() {
            return Err(BadHashFn::Text("h", ParseExprError::OnlyI));
        }
        let highest = i64::try_from(KEY_MODULUS - 1).unwrap_or(i64::MAX);
        let Err(fault) = h.span(highest) else {
            return Ok(Self::Typed(h));
        };
        // An example says more; where bounds alone object, there may be none.
        let mut tries = (0..64).chain([highest]);
        Err(tries
            .find_map(|i| Some(BadHashFn::At(h.at(i, 0).err()?, i)))
            .unwrap_or(BadHashFn::Somewhere(fault)))
    }

    /// Reads a Φ. Whether it has a value is seen when a seat is placed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn parse_phi(text: &str) -> Result<Self, BadHashFn> {
        if text == COURSEWORK_PHI {
            return Ok(Self::Coursework);
        }
        let phi = Expr::parse(text).map_err(|err| BadHashFn::Text("phi", err))?;
        Ok(Self::Typed(phi))
    }

    /// H of `key`.
    fn h(&self, key: Key) -> i64 {
        // Far from overflow, being below 2^30.
        let i = i64::try_from(key.0 % KEY_MODULUS).unwrap_or(0);
        match self {
            Self::Coursework => i * i + 2 * i + 17,
            Self::Brief => i + 2 * i * i + 17,
            // It has one: that was made sure of for all keys.
            Self::Typed(h) => h.at(i, 0).unwrap_or(0),
        }
    }

    /// Operands that the library goes through for a value; the functions known here are as good as one.
    pub(super) fn operands(&self) -> u32 {
        match self {
            Self::Coursework | Self::Brief => 1,
            Self::Typed(expr) => expr.operands(),
        }
    }

    /// Φ of virtual server `vnode` of `seat`.
    pub(super) fn phi(&self, seat: u32, vnode: u32) -> Result<i64, ArithmeticError> {
        let (i, j) = (i64::from(seat), i64::from(vnode));
        // A seat and a vnode are at most as many as there are slots.
        Ok(match self {
            Self::Coursework => i * i + j * j + 2 * j + 25,
            Self::Brief => i + j + 2 * j * j + 25,
            Self::Typed(phi) => phi.at(i, j)?,
        })
    }
}
