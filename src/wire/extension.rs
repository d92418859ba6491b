//! Chunk extensions (RFC 9112 §7.1.1), followed byte by byte: `;name`, `;name=value`, `;name="a value"`.
//!
//! None is known here, so all are ignored and go no further. They are read strictly all the same: readers
//! that disagree about where an extension ends disagree about where the next request begins.

use super::chunked::is_token;

/// Which part of an extension a byte was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// White space that only a semicolon ends (BWS, which a recipient must take).
    Gap,
    /// The semicolon, and white space behind it.
    Start,
    Name,
    /// White space behind a name.
    NameEnd,
    /// The equals sign, and white space behind it.
    Equals,
    Token,
    Quoted,
    /// The backslash of a quoted pair.
    Escape,
    QuoteEnd,
}

impl Extension {
    /// The part that `byte` is when it follows a chunk size.
    pub(super) fn begin(byte: u8) -> Option<Self> {
        match byte {
            b';' => Some(Self::Start),
            b' ' | b'\t' => Some(Self::Gap),
            _ => None,
        }
    }

    /// Whether the line may end behind this part.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Token | Self::QuoteEnd)
    }

    /// The part that `byte` is when it follows this one; `None` where none may stand.
    pub(super) fn step(self, byte: u8) -> Option<Self> {
        let blank = matches!(byte, b' ' | b'\t');
        match (self, byte) {
            (Self::Quoted, b'"') => Some(Self::QuoteEnd),
            (Self::Quoted, b'\\') => Some(Self::Escape),
            (Self::Quoted | Self::Escape, b'\t' | b' '..=b'~' | 0x80..) => Some(Self::Quoted),
            (Self::Quoted | Self::Escape, _) => None,
            (Self::Start | Self::Gap | Self::NameEnd | Self::Equals, _) if blank => Some(self),
            (Self::Name, _) if blank => Some(Self::NameEnd),
            (Self::Token | Self::QuoteEnd, _) if blank => Some(Self::Gap),
            (Self::Start | Self::Name, _) if is_token(byte) => Some(Self::Name),
            (Self::Equals | Self::Token, _) if is_token(byte) => Some(Self::Token),
            (Self::Equals, b'"') => Some(Self::Quoted),
            (Self::Name | Self::NameEnd, b'=') => Some(Self::Equals),
            (Self::Start | Self::Equals, _) => None,
            (_, b';') => Some(Self::Start),
            _ => None,
        }
    }
}
