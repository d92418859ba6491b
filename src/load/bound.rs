//! The bound as it is typed, kept and shown: a factor above 1, or 0 for none.

use std::fmt;
use std::str::FromStr;

/// How far above the mean a seat's load may lie: 1.03 is 3 % above. The default is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadBound(f64);

impl LoadBound {
    /// No bound: every request is served at home.
    pub const OFF: Self = Self(0.0);

    /// What the mean is multiplied by, if there is a bound.
    #[must_use]
    pub fn limit(self) -> Option<f64> {
        (!self.is_off()).then_some(self.0)
    }

    /// Whether there is no bound.
    #[must_use]
    pub fn is_off(self) -> bool {
        self == Self::OFF
    }

    /// What the mean is multiplied by; 0 when there is no bound.
    pub(super) fn factor(self) -> f64 {
        self.0
    }
}

// It is never a number that differs from itself.
impl Eq for LoadBound {}

/// A text that is no bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no bound: it must be above 1 (1.03 is 3 % above the mean), or 0 for none")]
pub struct ParseLoadBoundError(String);

impl FromStr for LoadBound {
    type Err = ParseLoadBoundError;

    fn from_str(text: &str) -> Result<Self, ParseLoadBoundError> {
        match text.parse::<f64>() {
            Ok(0.0) => Ok(Self::OFF),
            // At 1 every seat above the mean would be full, which is half of them.
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
