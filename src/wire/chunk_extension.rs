//! Chunk extensions (RFC 9112 §7.1.1), followed byte by byte: `;name`, `;name=value`, `;name="a value"`.
//!
//! None is known here, so all are ignored and go no further. In requests they are read strictly all the
//! same: readers that disagree about where an extension ends disagree about where the next request begins.
//! In responses everything up to the end of the line is ignored, as other proxies do.

use super::chunked::BadChunk;
use super::head::is_token;

/// The most bytes of extensions that one chunk may have.
pub(super) const MAX_EXTENSION: u32 = 4 * 1024;
/// Bytes of extensions that every chunk may have besides as many as it has data: room for a signature
/// (`;chunk-signature=` and 64 digits). What goes beyond counts against [`MAX_EXTENSION_EXCESS`].
pub(super) const EXTENSION_PER_CHUNK: u32 = 128;
/// The most bytes of extensions that a message may have beyond what its chunks allow at the time: more
/// extensions than data are no body but a way to keep a reader busy. What a chunk does not use is taken off.
pub(super) const MAX_EXTENSION_EXCESS: u32 = 16 * 1024;

/// Extension bytes of one message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ExtensionBudget {
    /// Bytes of the chunk that begins.
    chunk: u32,
    /// Bytes beyond what the chunks so far allow.
    excess: u32,
}

impl ExtensionBudget {
    /// Counts a byte of an extension.
    pub(super) fn count(&mut self) -> Result<(), BadChunk> {
        self.chunk += 1;
        if self.chunk > MAX_EXTENSION {
            return Err(BadChunk("a chunk has more than 4096 bytes of extensions"));
        }
        Ok(())
    }

    /// Sets off what a chunk had against its size.
    pub(super) fn settle(&mut self, size: u64) -> Result<(), BadChunk> {
        let data = u32::try_from(size).unwrap_or(u32::MAX);
        let all = self.excess + std::mem::take(&mut self.chunk);
        self.excess = all.saturating_sub(data.saturating_add(EXTENSION_PER_CHUNK));
        if self.excess > MAX_EXTENSION_EXCESS {
            return Err(BadChunk(
                "chunk extensions are too long for so few data, by more than 16384 bytes",
            ));
        }
        Ok(())
    }
}

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
    /// Blanks behind a chunk size of a response, which may end the line.
    Padding,
    /// Behind the first semicolon of a response's line: anything but controls.
    Ignored,
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

    /// The same in a response.
    pub(super) fn begin_leniently(byte: u8) -> Option<Self> {
        match byte {
            b';' => Some(Self::Ignored),
            b' ' | b'\t' => Some(Self::Padding),
            _ => None,
        }
    }

    /// Whether the line may end behind this part.
    pub(super) fn may_end(self) -> bool {
        use Extension::{Ignored, Name, Padding, QuoteEnd, Token};
        matches!(self, Name | Token | QuoteEnd | Padding | Ignored)
    }

    /// The part that `byte` is when it follows this one; `None` where none may stand.
    pub(super) fn step(self, byte: u8) -> Option<Self> {
        let blank = matches!(byte, b' ' | b'\t');
        match (self, byte) {
            (Self::Padding, _) => Self::begin_leniently(byte),
            (Self::Ignored, b'\t' | b' '..=b'~' | 0x80..) => Some(Self::Ignored),
            (Self::Ignored, _) => None,
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
