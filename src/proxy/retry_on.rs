//! Statuses for which a request is sent again to another replica (`--retry-on`).

use std::fmt;
use std::str::FromStr;

/// Statuses of replies that are not passed on while another replica may give a better one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOn(Vec<u16>);

/// A text that is no list of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be statuses from 400 to 599, such as 502,503,504")]
pub struct ParseRetryOnError;

impl RetryOn {
    /// Returns `true` if there is no status in the list.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `true` for a status of the list.
    pub(super) fn contains(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

impl FromStr for RetryOn {
    type Err = ParseRetryOnError;

    fn from_str(text: &str) -> Result<Self, ParseRetryOnError> {
        let status = |text: &str| {
            let status = text.parse().ok().filter(|_| text.len() == 3);
            status.filter(|status| (400..=599).contains(status))
        };
        let statuses: Option<Vec<u16>> = text.split(',').map(status).collect();
        statuses.map(Self).ok_or(ParseRetryOnError)
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses: Vec<String> = self.0.iter().map(u16::to_string).collect();
        f.write_str(&statuses.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_statuses_of_errors_alone() {
        let list: RetryOn = "502,503,504".parse().unwrap();
        assert_eq!(list.to_string(), "502,503,504");
        assert!(list.contains(503) && !list.contains(500));
        for bad in [
            "", "200", "399", "600", "503,", "0503", "+50", "5xx", "503;504",
        ] {
            assert_eq!(bad.parse::<RetryOn>(), Err(ParseRetryOnError), "{bad}");
        }
    }
}
