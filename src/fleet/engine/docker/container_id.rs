//! The ID of a container.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The full ID of a container: 64 hex digits. The engine of containers changes a container by this
/// alone, never by a name or by the beginning of an ID. Displayed, it is the usual 12 digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::fleet) struct ContainerId(Arc<str>);

/// The error for a text that is no full container ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct InvalidContainerId;

impl FromStr for ContainerId {
    type Err = InvalidContainerId;

    fn from_str(text: &str) -> Result<Self, InvalidContainerId> {
        let is_full = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_full {
            Ok(Self(text.into()))
        } else {
            Err(InvalidContainerId)
        }
    }
}

impl ContainerId {
    /// Parses a full ID; `None` for anything else.
    pub(super) fn new(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Returns all digits.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0[..12])
    }
}
