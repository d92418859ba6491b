//! The secret that allows everything, and its form in a request.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;

/// Shared secret. `Debug` masks it. A comparison takes the same time for every wrong token of its
/// length.
#[derive(Clone)]
pub struct Token(Box<str>);

/// Error for a text that is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is one or more visible ASCII characters without ';'")]
pub struct BadToken;

impl FromStr for Token {
    type Err = BadToken;

    /// Accepts what both protocols can carry: a header value holds no control character, and the
    /// text protocol splits at blanks and at `;`.
    fn from_str(text: &str) -> Result<Self, BadToken> {
        let is_allowed = |b: u8| b.is_ascii_graphic() && b != b';';
        if text.is_empty() || !text.bytes().all(is_allowed) {
            return Err(BadToken);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl Eq for Token {}

impl Token {
    /// Returns the secret itself, to be sent and never to be printed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn matches(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}

/// Returns the token of an `Authorization: Bearer` value (RFC 6750 §2.1). Schemes ignore case (RFC
/// 9110 §11.1).
pub(super) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at(value.iter().position(|b| *b == b' ')?);
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
}
