//! IDs for requests that have none, forwarded as X-Request-ID.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::RngExt;
use rand::rngs::StdRng;
use uuid::Builder;
use uuid::fmt::Hyphenated;

/// Number of digits of [`RequestIdKind::Digits`].
const DIGITS: usize = 6;
const DIGIT_TEXTS: &[u8; 10] = b"0123456789";

/// Kind of the IDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestIdKind {
    /// Six random digits.
    #[default]
    Digits,
    /// UUID of version 7: the time in milliseconds and 74 random bits (RFC 9562 §5.7).
    Uuid,
}

/// A text that is not a kind of IDs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not digits or uuid")]
pub struct ParseRequestIdKindError(String);

impl FromStr for RequestIdKind {
    type Err = ParseRequestIdKindError;

    fn from_str(text: &str) -> Result<Self, ParseRequestIdKindError> {
        match text {
            "digits" => Ok(Self::Digits),
            "uuid" => Ok(Self::Uuid),
            _ => Err(ParseRequestIdKindError(text.to_owned())),
        }
    }
}

impl fmt::Display for RequestIdKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digits => "digits",
            Self::Uuid => "uuid",
        })
    }
}

/// Generated request ID, as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct GeneratedId {
    text: [u8; Hyphenated::LENGTH],
    len: usize,
}

impl GeneratedId {
    /// Draws an ID of this kind.
    pub(super) fn draw(kind: RequestIdKind, random: &mut StdRng) -> Self {
        let mut text = [0; Hyphenated::LENGTH];
        match kind {
            RequestIdKind::Digits => {
                let mut rest = random.random_range(100_000..1_000_000_u32);
                for digit in text[..DIGITS].iter_mut().rev() {
                    *digit = DIGIT_TEXTS[(rest % 10) as usize];
                    rest /= 10;
                }
                Self { text, len: DIGITS }
            }
            RequestIdKind::Uuid => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                let millis = since.unwrap_or_default().as_millis();
                let millis = u64::try_from(millis).unwrap_or_default();
                let id = Builder::from_unix_timestamp_millis(millis, &random.random()).into_uuid();
                let len = id.hyphenated().encode_lower(&mut text).len();
                Self { text, len }
            }
        }
    }

    /// Returns an ID of these digits.
    #[cfg(test)]
    pub(super) fn for_test(digits: u32) -> Self {
        let mut text = [0; Hyphenated::LENGTH];
        let digits = digits.to_string();
        text[..digits.len()].copy_from_slice(digits.as_bytes());
        let len = digits.len();
        Self { text, len }
    }

    /// Returns the text.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

impl fmt::Debug for GeneratedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn an_id_has_six_digits_or_is_a_uuid_in_the_order_of_time() {
        let mut random = StdRng::seed_from_u64(1);
        let mut draw = |kind| {
            let id = GeneratedId::draw(kind, &mut random);
            String::from_utf8(id.as_bytes().to_vec()).unwrap()
        };
        let digits: u32 = draw(RequestIdKind::Digits).parse().unwrap();
        assert!((100_000..1_000_000).contains(&digits));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let text = draw(RequestIdKind::Uuid);
        let id = uuid::Uuid::parse_str(&text).unwrap();
        assert_eq!((id.get_version_num(), text.len()), (7, 36));
        let (seconds, _) = id.get_timestamp().unwrap().to_unix();
        assert!(seconds.abs_diff(now.as_secs()) <= 1, "{text}");
        assert_ne!(draw(RequestIdKind::Uuid), text);
    }

    #[test]
    fn a_kind_is_written_as_it_is_parsed() {
        for text in ["digits", "uuid"] {
            assert_eq!(text.parse::<RequestIdKind>().unwrap().to_string(), text);
        }
        assert!("UUID".parse::<RequestIdKind>().is_err());
    }
}
