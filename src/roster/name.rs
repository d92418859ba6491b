//! Name of a replica.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Name of a replica: legal as a hostname and as a container name. Validated once, here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaName(Arc<str>);

/// Maximum length of a replica name, in bytes: the longest hostname label (RFC 1035 §2.3.4).
pub const MAX_NAME: usize = 63;

/// Error for a text that is not a replica name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a legal replica name: [A-Za-z0-9][A-Za-z0-9_.-]{{0,62}}, and not 'json' or 'all'"
)]
pub struct BadReplicaName(String);

impl FromStr for ReplicaName {
    type Err = BadReplicaName;

    fn from_str(text: &str) -> Result<Self, BadReplicaName> {
        let bytes = text.as_bytes();
        let first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
        let rest = bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b));
        // Both are keywords of commands, in places where a name is allowed.
        let is_word = ["json", "all"].contains(&text);
        if first && rest && bytes.len() <= MAX_NAME && !is_word {
            Ok(Self(text.into()))
        } else {
            Err(BadReplicaName(
                text.chars()
                    .take(2 * MAX_NAME)
                    .flat_map(char::escape_debug)
                    .collect(),
            ))
        }
    }
}

impl fmt::Display for ReplicaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for ReplicaName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
