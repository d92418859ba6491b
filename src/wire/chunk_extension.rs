//! Chunk extensions (RFC 9112 §7.1.1), parsed byte by byte: `;name`, `;name=value`, `;name="a
//! value"`.
//!
//! No extension is known here, so all are dropped. In requests they are parsed strictly
//! nevertheless: parsers that disagree about the end of an extension disagree about the start of
//! the next request. In responses everything up to the end of the line is ignored, as other proxies
//! do.

use super::chunked::BadChunk;
use super::head::is_token;

/// Maximum bytes of extensions of one chunk.
pub(super) const MAX_EXTENSION: u32 = 4 * 1024;
/// Bytes of extensions that every chunk may have in addition to as many as it has data. There is
/// room for a signature (`;chunk-signature=` and 64 digits). Further bytes count against
/// [`MAX_EXTENSION_EXCESS`].
pub(super) const EXTENSION_PER_CHUNK: u32 = 128;
/// Maximum bytes of extensions of a message above the sum that its chunks allow so far. More
/// extensions than data are not a body but a way to keep a parser busy. Unused allowance of a chunk
/// reduces the excess.
pub(super) const MAX_EXTENSION_EXCESS: u32 = 16 * 1024;

/// Extension bytes of one message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ExtensionBudget {
    /// Bytes of the current chunk.
    chunk: u32,
    /// Bytes above the allowance of the chunks so far.
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

    /// Offsets the extensions of a chunk against its size.
    pub(super) fn end_chunk(&mut self, size: u64) -> Result<(), BadChunk> {
        let data = u32::try_from(size).unwrap_or(u32::MAX);
        let all = self.excess + std::mem::take(&mut self.chunk);
        self.excess = all.saturating_sub(data.saturating_add(EXTENSION_PER_CHUNK));
        if self.excess > MAX_EXTENSION_EXCESS {
            return Err(BadChunk(
                "chunk extensions are too long for the chunk data, by more than 16384 bytes",
            ));
        }
        Ok(())
    }

    /// Offsets a chunk without extensions, whose data only reduce the excess.
    pub(super) fn end_plain_chunk(&mut self, size: usize) {
        let data = u32::try_from(size).unwrap_or(u32::MAX);
        self.excess = self
            .excess
            .saturating_sub(data.saturating_add(EXTENSION_PER_CHUNK));
    }
}

/// Part of an extension that a byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// White space that only a semicolon ends (BWS, which a recipient must accept).
    Gap,
    /// The semicolon, and white space after it.
    Start,
    Name,
    /// White space after a name.
    NameEnd,
    /// The equals sign, and white space after it.
    Equals,
    Token,
    Quoted,
    /// The backslash of a quoted pair.
    Escape,
    QuoteEnd,
    /// Blanks after a chunk size of a response, which may end the line.
    Padding,
    /// After the first semicolon in a line of a response: any bytes but controls.
    Ignored,
}

impl Extension {
    /// Returns the part of `byte` after a chunk size.
    pub(super) fn first(byte: u8) -> Option<Self> {
        match byte {
            b';' => Some(Self::Start),
            b' ' | b'\t' => Some(Self::Gap),
            _ => None,
        }
    }

    /// Returns the same for a response.
    pub(super) fn first_lenient(byte: u8) -> Option<Self> {
        match byte {
            b';' => Some(Self::Ignored),
            b' ' | b'\t' => Some(Self::Padding),
            _ => None,
        }
    }

    /// Returns `true` if the line may end after this part.
    pub(super) fn may_end(self) -> bool {
        use Extension::{Ignored, Name, Padding, QuoteEnd, Token};
        matches!(self, Name | Token | QuoteEnd | Padding | Ignored)
    }

    /// Returns the part of `byte` after this one; `None` if the byte is not allowed there.
    pub(super) fn step(self, byte: u8) -> Option<Self> {
        let blank = matches!(byte, b' ' | b'\t');
        match (self, byte) {
            (Self::Padding, _) => Self::first_lenient(byte),
            (Self::Ignored, b'\t' | b' '..=b'~' | 0x80..) => Some(Self::Ignored),
            (Self::Quoted, b'"') => Some(Self::QuoteEnd),
            (Self::Quoted, b'\\') => Some(Self::Escape),
            (Self::Quoted | Self::Escape, b'\t' | b' '..=b'~' | 0x80..) => Some(Self::Quoted),
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
