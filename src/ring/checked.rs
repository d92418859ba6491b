//! Integers of 64 bits whose arithmetic never wraps: a single number, and an interval of numbers.
//! The interval proves, before the first key arrives, that a formula has a value for every key.
//!
//! An error is a value like others. It propagates through all further steps, so that the first one
//! is reported. Division rounds towards zero and the remainder has the sign of the dividend, as in
//! Rust and C.

use std::fmt;
use std::str::FromStr;

/// Reason for which a calculation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArithmeticError {
    /// A number does not fit.
    #[error("overflows 64 bits")]
    Overflow,
    /// `/ 0` or `% 0`.
    #[error("divides by zero")]
    ByZero,
    /// A power that is not an integer.
    #[error("has a negative exponent")]
    Exponent,
    /// No value at all.
    #[error("has no value")]
    Unknown,
}

/// Operations of an expression.
pub(super) trait Arithmetic:
    Clone + fmt::Debug + Default + FromStr<Err = ArithmeticError>
{
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn over(self, other: Self) -> Self;
    fn modulo(self, other: Self) -> Self;
    fn power(self, other: Self) -> Self;
    fn negative(self) -> Self;
}

/// Number, or the reason for which there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckedI64(Result<i64, ArithmeticError>);

impl CheckedI64 {
    pub(super) fn new(number: i64) -> Self {
        Self(Ok(number))
    }

    pub(super) fn get(self) -> Result<i64, ArithmeticError> {
        self.0
    }

    fn with(
        self,
        other: Self,
        step: impl FnOnce(i64, i64) -> Result<i64, ArithmeticError>,
    ) -> Self {
        Self(self.0.and_then(|a| step(a, other.0?)))
    }
}

impl Default for CheckedI64 {
    fn default() -> Self {
        Self(Err(ArithmeticError::Unknown))
    }
}

/// Parses digits alone; a sign is an operator. It never fails: a number that is too large is a
/// value too.
impl FromStr for CheckedI64 {
    type Err = ArithmeticError;

    fn from_str(digits: &str) -> Result<Self, ArithmeticError> {
        Ok(Self(digits.parse().map_err(|_| ArithmeticError::Overflow)))
    }
}

impl Arithmetic for CheckedI64 {
    fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| {
            a.checked_add(b).ok_or(ArithmeticError::Overflow)
        })
    }

    fn minus(self, other: Self) -> Self {
        self.with(other, |a, b| {
            a.checked_sub(b).ok_or(ArithmeticError::Overflow)
        })
    }

    fn times(self, other: Self) -> Self {
        self.with(other, |a, b| {
            a.checked_mul(b).ok_or(ArithmeticError::Overflow)
        })
    }

    fn over(self, other: Self) -> Self {
        self.with(other, |a, b| match b {
            0 => Err(ArithmeticError::ByZero),
            _ => a.checked_div(b).ok_or(ArithmeticError::Overflow),
        })
    }

    fn modulo(self, other: Self) -> Self {
        self.with(other, |a, b| match b {
            0 => Err(ArithmeticError::ByZero),
            _ => a.checked_rem(b).ok_or(ArithmeticError::Overflow),
        })
    }

    fn power(self, other: Self) -> Self {
        self.with(other, power)
    }

    fn negative(self) -> Self {
        Self::new(0).minus(self)
    }
}

fn power(base: i64, exponent: i64) -> Result<i64, ArithmeticError> {
    match (base, exponent) {
        (_, ..=-1) => Err(ArithmeticError::Exponent),
        (0 | 1, 1..) => Ok(base),
        (-1, _) => Ok(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => {
            let exponent = u32::try_from(exponent).map_err(|_| ArithmeticError::Overflow)?;
            base.checked_pow(exponent).ok_or(ArithmeticError::Overflow)
        }
    }
}

/// All numbers between two bounds, or the reason for which there are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval(Result<(i64, i64), ArithmeticError>);

impl Interval {
    pub(super) fn new(low: i64, high: i64) -> Self {
        Self(Ok((low, high)))
    }

    pub(super) fn get(self) -> Result<(i64, i64), ArithmeticError> {
        self.0
    }

    /// Returns the interval of a step whose extremes are at the extremes of its operands.
    fn corners(self, other: Self, step: impl Fn(i64, i64) -> Result<i64, ArithmeticError>) -> Self {
        let both = self.0.and_then(|a| Ok((a, other.0?)));
        Self(both.and_then(|((a, b), (c, d))| {
            let corners = [step(a, c)?, step(a, d)?, step(b, c)?, step(b, d)?];
            let low = corners.into_iter().fold(corners[0], i64::min);
            Ok((low, corners.into_iter().fold(low, i64::max)))
        }))
    }

    fn has_zero(self) -> bool {
        self.0.is_ok_and(|(low, high)| low <= 0 && high >= 0)
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self(Err(ArithmeticError::Unknown))
    }
}

impl FromStr for Interval {
    type Err = ArithmeticError;

    fn from_str(digits: &str) -> Result<Self, ArithmeticError> {
        let number = digits.parse().map_err(|_| ArithmeticError::Overflow);
        Ok(Self(number.map(|number| (number, number))))
    }
}

impl Arithmetic for Interval {
    fn plus(self, other: Self) -> Self {
        self.corners(other, |a, b| {
            a.checked_add(b).ok_or(ArithmeticError::Overflow)
        })
    }

    fn minus(self, other: Self) -> Self {
        self.corners(other, |a, b| {
            a.checked_sub(b).ok_or(ArithmeticError::Overflow)
        })
    }

    fn times(self, other: Self) -> Self {
        self.corners(other, |a, b| {
            a.checked_mul(b).ok_or(ArithmeticError::Overflow)
        })
    }

    fn over(self, other: Self) -> Self {
        if self.0.is_ok() && other.has_zero() {
            return Self(Err(ArithmeticError::ByZero));
        }
        self.corners(other, |a, b| {
            a.checked_div(b).ok_or(ArithmeticError::Overflow)
        })
    }

    fn modulo(self, other: Self) -> Self {
        let (Ok((low, high)), Ok((least, most))) = (self.0, other.0) else {
            return Self(self.0.and(other.0));
        };
        if other.has_zero() {
            return Self(Err(ArithmeticError::ByZero));
        }
        if low == i64::MIN && least <= -1 && most >= -1 {
            return Self(Err(ArithmeticError::Overflow));
        }
        // The remainder is smaller than the divisor and not larger than the dividend, whose sign it
        // has.
        let below = least.unsigned_abs().max(most.unsigned_abs()) - 1;
        let cap = i64::try_from(below).unwrap_or(i64::MAX);
        Self::new(low.clamp(-cap, 0), high.clamp(0, cap))
    }

    fn power(self, other: Self) -> Self {
        let both = self.0.and_then(|base| Ok((base, other.0?)));
        Self(both.and_then(|((low, high), (least, most))| {
            if least < 0 {
                return Err(ArithmeticError::Exponent);
            }
            let size = low.unsigned_abs().max(high.unsigned_abs());
            let size = i64::try_from(size).map_err(|_| ArithmeticError::Overflow)?;
            let top = power(size, most)?.max(1);
            // The power of a negative base may have either sign. A base from 1 up only grows with
            // the exponent.
            let bottom = match low {
                ..=-1 => -top,
                0 => 0,
                _ => power(low, least)?,
            };
            Ok((bottom, top))
        }))
    }

    fn negative(self) -> Self {
        Self::new(0, 0).minus(self)
    }
}
