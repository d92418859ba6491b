//! The load bound as it is parsed, stored and printed: a factor above 1, or 0 for none.

use std::fmt;
use std::str::FromStr;

/// Limit of a seat's load as a factor of the mean: 1.03 is 3 % above it. The default is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadBound(f64);

impl LoadBound {
    /// No bound: every request is served at its home seat.
    pub const OFF: Self = Self(0.0);

    /// Returns the factor, or `None` without a bound.
    #[must_use]
    pub fn limit(self) -> Option<f64> {
        (!self.is_off()).then_some(self.0)
    }

    /// Returns `true` without a bound.
    #[must_use]
    pub fn is_off(self) -> bool {
        self == Self::OFF
    }

    /// Returns the factor; 0 without a bound.
    pub(super) fn factor(self) -> f64 {
        self.0
    }
}

// The factor is never NaN.
impl Eq for LoadBound {}

/// Error for a text that is not a load bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no bound: it must be above 1 (1.03 is 3 % above the mean), or 0 for none")]
pub struct ParseLoadBoundError(String);

impl FromStr for LoadBound {
    type Err = ParseLoadBoundError;

    fn from_str(text: &str) -> Result<Self, ParseLoadBoundError> {
        match text.parse::<f64>() {
            Ok(0.0) => Ok(Self::OFF),
            // At 1, every seat above the mean would be full, which is half of them.
            Ok(factor) if factor > 1.0 && factor.is_finite() => Ok(Self(factor)),
            _ => Err(ParseLoadBoundError(text.to_owned())),
        }
    }
}

impl fmt::Display for LoadBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
