//! The chunked transfer coding (RFC 9112 §7.1), scanned as bytes come, in any pieces.
//!
//! The scanner says which leading bytes belong to the message, which of those are data and which go no
//! further: extensions, which we do not know, and trailer fields that must not be taken for fields of the
//! head. It copies and keeps nothing: the begun name of a trailer field is left to be shown again. It is
//! strict where lenient readers were fooled: sizes of at most 16 hex digits, CR LF only, all bounded.
//! Responses may have blanks behind a size and in front of the colon of a trailer field; they go no further.

use super::chunk_extension::{Extension, ExtensionBudget};
use super::head::is_token;
use super::trailer;

/// The most bytes of trailer fields in one message.
pub const MAX_TRAILERS: usize = 16 * 1024;
/// The most bytes of a trailer field's name.
pub const MAX_TRAILER_NAME: usize = 256;
const MAX_SIZE_DIGITS: u8 = 16;

/// What breaks the coding. The rest of the stream cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadChunk(pub &'static str);

/// What a run of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Chunk data.
    Data,
    /// Sizes, line ends, trailers.
    Frame,
    /// Extensions, and trailer fields that end here.
    Dropped,
}

/// Where in the coding the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScanState {
    Size {
        value: u64,
        digits: u8,
    },
    Extension {
        size: u64,
        part: Extension,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    TrailerStart,
    /// The colon, and blanks in front of it.
    TrailerColon {
        run: Segment,
    },
    TrailerValue {
        run: Segment,
    },
    TrailerLf {
        run: Segment,
    },
    LastLf,
    Done,
}

impl ScanState {
    const FIRST: Self = Self::Size {
        value: 0,
        digits: 0,
    };
}

impl Default for ScanState {
    fn default() -> Self {
        Self::FIRST
    }
}

/// The scanner of one message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scanner {
    at: ScanState,
    extensions: ExtensionBudget,
    trailers: usize,
    drops_trailers: bool,
    scanned: u32,
    lenient: bool,
}

impl Scanner {
    /// A scanner that lets no trailer field pass.
    #[must_use]
    pub fn without_trailers() -> Self {
        Self {
            drops_trailers: true,
            ..Self::default()
        }
    }

    /// The same scanner for a response.
    #[must_use]
    pub fn leniently(self) -> Self {
        Self {
            lenient: true,
            ..self
        }
    }

    /// Whether the message has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == ScanState::Done
    }

    /// The next run of `input`: how many bytes, and what they are. A length of 0 means that the message
    /// has ended, or that more is needed: what is left of `input` must then be shown again before it.
    ///
    /// # Errors
    /// When the coding is broken; bytes before the broken one may have been returned already.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Segment), BadChunk> {
        if let ScanState::Data { left } = self.at {
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            self.skip(len as u64);
            return Ok((len, Segment::Data));
        }
        if self.at == ScanState::TrailerStart && input.first() != Some(&b'\r') {
            return self.trailer_name(input);
        }
        let (mut used, mut run) = (0, Segment::Frame);
        for byte in input {
            if matches!(self.at, ScanState::Data { .. } | ScanState::Done)
                || self.at == ScanState::TrailerStart && used > 0
            {
                break;
            }
            let next = self.step(*byte)?;
            let kind = match (self.at, next) {
                (ScanState::TrailerValue { run } | ScanState::TrailerLf { run }, _) => run,
                (_, ScanState::Extension { .. } | ScanState::TrailerColon { .. }) => {
                    Segment::Dropped
                }
                (ScanState::TrailerColon { run }, _) => run,
                _ => Segment::Frame,
            };
            if used > 0 && kind != run {
                break;
            }
            self.count(next)?;
            (self.at, run) = (next, kind);
            used += 1;
        }
        self.scanned = self
            .scanned
            .wrapping_add(u32::try_from(used).unwrap_or(u32::MAX));
        Ok((used, run))
    }

    /// Bytes that were looked at one by one so far (sizes, line ends, extensions, trailers), modulo 2^32.
    #[must_use]
    pub fn scanned(&self) -> u32 {
        self.scanned
    }

    /// Bytes of chunk data that are certain to come next.
    #[must_use]
    pub fn data_left(&self) -> u64 {
        match self.at {
            ScanState::Data { left } => left,
            _ => 0,
        }
    }

    /// Counts `len` bytes of [`Self::data_left`] as read.
    pub fn skip(&mut self, len: u64) {
        if let ScanState::Data { left } = self.at {
            self.at = match left.saturating_sub(len) {
                0 => ScanState::DataCr,
                left => ScanState::Data { left },
            };
        }
    }

    /// Where a byte that leads from here leads to.
    fn step(&self, byte: u8) -> Result<ScanState, BadChunk> {
        Ok(match (self.at, byte) {
            (ScanState::Size { value, digits }, byte) => return self.size(byte, value, digits),
            (ScanState::Extension { size, part }, b'\r') if part.may_end() => {
                ScanState::SizeLf { size }
            }
            (ScanState::Extension { size, part }, byte) => {
                let part = part.step(byte);
                let part = part.ok_or(BadChunk("a chunk extension is malformed"))?;
                ScanState::Extension { size, part }
            }
            (ScanState::SizeLf { size: 0 }, b'\n') => ScanState::TrailerStart,
            (ScanState::SizeLf { size: left }, b'\n') => ScanState::Data { left },
            (ScanState::SizeLf { .. }, _) => {
                return Err(BadChunk("a chunk size line does not end in CR LF"));
            }
            (ScanState::DataCr, b'\r') => ScanState::DataLf,
            (ScanState::DataLf, b'\n') => ScanState::FIRST,
            (ScanState::DataCr | ScanState::DataLf, _) => {
                return Err(BadChunk("chunk data do not end in CR LF"));
            }
            (ScanState::TrailerStart, b'\r') => ScanState::LastLf,
            (ScanState::TrailerColon { .. }, b' ' | b'\t') => self.at,
            (ScanState::TrailerColon { run }, b':') => ScanState::TrailerValue { run },
            (ScanState::TrailerValue { run }, b'\r') => ScanState::TrailerLf { run },
            (ScanState::TrailerValue { .. }, b'\t' | b' '..=b'~' | 0x80..) => self.at,
            (ScanState::TrailerLf { .. }, b'\n') => ScanState::TrailerStart,
            (ScanState::LastLf, b'\n') => ScanState::Done,
            (ScanState::LastLf, _) => return Err(BadChunk("the last line does not end in CR LF")),
            // `next` stops in front of these two.
            (ScanState::Data { .. } | ScanState::Done, _) => self.at,
            _ => return Err(BadChunk("a trailer field is malformed")),
        })
    }

    /// Counts the byte that leads from here to `next`.
    fn count(&mut self, next: ScanState) -> Result<(), BadChunk> {
        match (self.at, next) {
            (_, ScanState::Extension { .. }) => return self.extensions.count(),
            (ScanState::SizeLf { size }, _) => return self.extensions.settle(size),
            (
                ScanState::TrailerStart
                | ScanState::TrailerColon { .. }
                | ScanState::TrailerValue { .. }
                | ScanState::TrailerLf { .. },
                _,
            ) => self.trailers += 1,
            _ => return Ok(()),
        }
        self.check()
    }

    fn check(&self) -> Result<(), BadChunk> {
        if self.trailers > MAX_TRAILERS {
            return Err(BadChunk("trailer fields have more than 16384 bytes"));
        }
        Ok(())
    }

    /// The name of a trailer field and its colon, once they are all there: it says who reads the field.
    fn trailer_name(&mut self, input: &[u8]) -> Result<(usize, Segment), BadChunk> {
        let end = input.iter().position(|byte| !is_token(*byte));
        let len = end.unwrap_or(input.len());
        let blank = |byte: &&u8| self.lenient && matches!(byte, b' ' | b'\t');
        let blanks = input[len..].iter().take_while(blank).count();
        if len + blanks > MAX_TRAILER_NAME {
            return Err(BadChunk(
                "the name of a trailer field has more than 256 bytes",
            ));
        }
        match input.get(len + blanks) {
            None => return Ok((0, Segment::Frame)),
            Some(b':') if len > 0 => {}
            Some(_) => return Err(BadChunk("a trailer field is malformed")),
        }
        let run = match !self.drops_trailers && trailer::may_pass(&input[..len]) {
            true => Segment::Frame,
            false => Segment::Dropped,
        };
        self.trailers += len;
        self.check()?;
        self.at = ScanState::TrailerColon { run };
        Ok((len, run))
    }

    fn size(&self, byte: u8, value: u64, digits: u8) -> Result<ScanState, BadChunk> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            return longer_size(digit, value, digits);
        }
        let part = match self.lenient {
            true => Extension::begin_leniently(byte),
            false => Extension::begin(byte),
        };
        match part {
            _ if digits == 0 => Err(BadChunk("a chunk size is malformed")),
            Some(part) => Ok(ScanState::Extension { size: value, part }),
            None if byte == b'\r' => Ok(ScanState::SizeLf { size: value }),
            None => Err(BadChunk("a chunk size is malformed")),
        }
    }
}

fn longer_size(digit: u32, value: u64, digits: u8) -> Result<ScanState, BadChunk> {
    if digits == MAX_SIZE_DIGITS {
        return Err(BadChunk("a chunk size has too many digits"));
    }
    let value = value
        .checked_mul(16)
        .and_then(|value| value.checked_add(u64::from(digit)));
    let value = value.filter(|value| i64::try_from(*value).is_ok());
    let value = value.ok_or(BadChunk("a chunk size is too large"))?;
    Ok(ScanState::Size {
        value,
        digits: digits + 1,
    })
}

#[cfg(test)]
mod tests;
