//! A rate of requests as a flag has it: `100/s`, `30/m`, `500/h`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::token_bucket::BucketSize;

/// Units of time and their lengths in seconds.
const UNITS: [(&str, u32); 3] = [("s", 1), ("m", 60), ("h", 3600)];

/// Requests per unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    requests: NonZeroU32,
    unit: (&'static str, u32),
}

/// A text that is not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no rate, such as 100/s, 30/m or 500/h")]
pub struct ParseRateError;

impl RequestRate {
    /// Returns the bucket of this rate. Without `burst` as many requests may come at once as the
    /// rate has in a second, and at least one.
    #[must_use]
    pub fn bucket(self, burst: Option<NonZeroU32>) -> BucketSize {
        let (requests, seconds) = (self.requests.get(), self.unit.1);
        BucketSize {
            interval: Duration::from_secs(seconds.into()) / requests,
            burst: burst.map_or_else(|| (requests / seconds).max(1), NonZeroU32::get),
        }
    }
}

impl FromStr for RequestRate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let (requests, unit) = text.split_once('/').ok_or(ParseRateError)?;
        if !requests.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseRateError);
        }
        let requests = requests.parse().map_err(|_| ParseRateError)?;
        let unit = UNITS.into_iter().find(|(name, _)| *name == unit);
        let unit = unit.ok_or(ParseRateError)?;
        Ok(Self { requests, unit })
    }
}

impl fmt::Display for RequestRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, self.unit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_unit() {
        for (text, millis, burst) in [
            ("1/s", 1_000, 1),
            ("100/s", 10, 100),
            ("30/m", 2_000, 1),
            ("120/m", 500, 2),
            ("1/h", 3_600_000, 1),
        ] {
            let rate: RequestRate = text.parse().unwrap();
            assert_eq!(rate.to_string(), text);
            let bucket = rate.bucket(None);
            assert_eq!(bucket.interval, Duration::from_millis(millis), "{text}");
            assert_eq!(bucket.burst, burst, "{text}");
            assert_eq!(rate.bucket(NonZeroU32::new(7)).burst, 7);
        }
        for bad in [
            "",
            "100",
            "0/s",
            "/s",
            "+1/s",
            "-1/s",
            "1.5/s",
            "1/d",
            "1/S",
            "9999999999/s",
        ] {
            assert_eq!(bad.parse::<RequestRate>(), Err(ParseRateError), "{bad}");
        }
    }
}
