//! Scanner for the chunked transfer coding (RFC 9112 §7.1), fed with pieces of any size.
//!
//! The scanner returns which leading bytes belong to the message and which of those are data. It
//! marks bytes to be dropped: unknown extensions, and trailer fields that must not be taken for
//! header fields. It copies and stores nothing: the caller presents an incomplete name of a trailer
//! field again.
//!
//! It is strict where lenient parsers were attacked: sizes of at most 16 hex digits, CR LF only,
//! limits on everything. Responses may have blanks after a size and before the colon of a trailer
//! field; these are dropped.

mod bad_chunk;
mod state;

use super::chunk_extension::{Extension, ExtensionBudget};
use super::head::is_token;
use super::trailer;
pub use bad_chunk::BadChunk;
use state::ScanState;
pub use state::Segment;

/// Maximum bytes of trailer fields of one message.
pub const MAX_TRAILERS: usize = 16 * 1024;
/// Maximum bytes of a trailer field's name.
pub const MAX_TRAILER_NAME: usize = 256;
const MAX_SIZE_DIGITS: u8 = 16;
/// Maximum digits of a size that [`Scanner::take_whole_chunks`] reads. Larger chunks never arrive
/// whole.
const MAX_PLAIN_DIGITS: usize = 4;
/// Number of bytes of framing that cost as much in whole chunks as a byte that is scanned singly.
const WHOLE_CHUNK_SAVING: usize = 8;

/// Scanner of one message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scanner {
    state: ScanState,
    extensions: ExtensionBudget,
    trailers: usize,
    drop_trailers: bool,
    scanned: u32,
    lenient: bool,
}

impl Scanner {
    /// Returns a scanner that drops all trailer fields.
    #[must_use]
    pub fn without_trailers() -> Self {
        Self {
            drop_trailers: true,
            ..Self::default()
        }
    }

    /// Returns this scanner with the leniency for a response.
    #[must_use]
    pub fn leniently(self) -> Self {
        Self {
            lenient: true,
            ..self
        }
    }

    /// Returns `true` once the message has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == ScanState::Done
    }

    /// Returns the next run of `input`: its length and its kind. A length of 0 means that the
    /// message has ended, or that more bytes are needed. The caller then presents the rest of
    /// `input` again, with the bytes that follow.
    ///
    /// # Errors
    /// If the coding is broken. Bytes before the broken one may have been returned already.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Segment), BadChunk> {
        if let ScanState::Data { left } = self.state {
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            self.skip(len as u64);
            return Ok((len, Segment::Data));
        }
        if self.state == ScanState::TrailerStart && input.first() != Some(&b'\r') {
            return self.trailer_name(input);
        }
        let (mut used, mut run) = (0, Segment::Frame);
        for byte in input {
            if matches!(self.state, ScanState::Data { .. } | ScanState::Done)
                || matches!(self.state, ScanState::TrailerStart | ScanState::FIRST) && used > 0
            {
                break;
            }
            let next = self.step(*byte)?;
            let kind = match (self.state, next) {
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
            (self.state, run) = (next, kind);
            used += 1;
        }
        self.scanned = self
            .scanned
            .wrapping_add(u32::try_from(used).unwrap_or(u32::MAX));
        Ok((used, run))
    }

    /// Returns the length of the whole chunks at the start of `input`, without extensions and with
    /// sizes of at most four digits, and counts them as read. 0 if the next byte does not begin a
    /// chunk.
    ///
    /// Small chunks are scanned several times as fast as by [`Self::next`], which accepts the same
    /// bytes and everything else.
    pub fn take_whole_chunks(&mut self, input: &[u8]) -> usize {
        if self.state != ScanState::FIRST {
            return 0;
        }
        let (mut used, mut framing) = (0, 0);
        while let Some((len, size)) = whole_chunk(&input[used..]) {
            self.extensions.end_plain_chunk(size);
            used += len;
            framing += len - size;
        }
        let weighted = u32::try_from(framing / WHOLE_CHUNK_SAVING).unwrap_or(u32::MAX);
        self.scanned = self.scanned.wrapping_add(weighted);
        used
    }

    /// Returns the number of bytes scanned singly so far (sizes, line ends, extensions, trailers),
    /// modulo 2^32. Those of whole chunks count as fewer, by what they save.
    #[must_use]
    pub fn scanned(&self) -> u32 {
        self.scanned
    }

    /// Returns the number of bytes of chunk data that are certain to come next.
    #[must_use]
    pub fn data_left(&self) -> u64 {
        match self.state {
            ScanState::Data { left } => left,
            _ => 0,
        }
    }

    /// Counts `len` bytes of [`Self::data_left`] as read.
    pub fn skip(&mut self, len: u64) {
        if let ScanState::Data { left } = self.state {
            self.state = match left.saturating_sub(len) {
                0 => ScanState::DataCr,
                left => ScanState::Data { left },
            };
        }
    }

    /// Returns the state after `byte`.
    fn step(&self, byte: u8) -> Result<ScanState, BadChunk> {
        Ok(match (self.state, byte) {
            (ScanState::Size { value, digits }, byte) => {
                return self.size_step(byte, value, digits);
            }
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
            (ScanState::TrailerColon { .. }, b' ' | b'\t') => self.state,
            (ScanState::TrailerColon { run }, b':') => ScanState::TrailerValue { run },
            (ScanState::TrailerValue { run }, b'\r') => ScanState::TrailerLf { run },
            (ScanState::TrailerValue { .. }, b'\t' | b' '..=b'~' | 0x80..) => self.state,
            (ScanState::TrailerLf { .. }, b'\n') => ScanState::TrailerStart,
            (ScanState::LastLf, b'\n') => ScanState::Done,
            (ScanState::LastLf, _) => return Err(BadChunk("the last line does not end in CR LF")),
            // `next` stops before these two.
            (ScanState::Data { .. } | ScanState::Done, _) => self.state,
            _ => return Err(BadChunk("a trailer field is malformed")),
        })
    }

    /// Counts the byte that leads from the current state to `next`.
    fn count(&mut self, next: ScanState) -> Result<(), BadChunk> {
        match (self.state, next) {
            (_, ScanState::Extension { .. }) => return self.extensions.count(),
            (ScanState::SizeLf { size }, _) => return self.extensions.end_chunk(size),
            (
                ScanState::TrailerStart
                | ScanState::TrailerColon { .. }
                | ScanState::TrailerValue { .. }
                | ScanState::TrailerLf { .. },
                _,
            ) => self.trailers += 1,
            _ => return Ok(()),
        }
        self.check_trailers()
    }

    fn check_trailers(&self) -> Result<(), BadChunk> {
        if self.trailers > MAX_TRAILERS {
            return Err(BadChunk("trailer fields have more than 16384 bytes"));
        }
        Ok(())
    }

    /// Parses the name of a trailer field and the blanks after it, once its colon is there. The
    /// name decides whether the field is forwarded.
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
        let run = match !self.drop_trailers && trailer::may_pass(&input[..len]) {
            true => Segment::Frame,
            false => Segment::Dropped,
        };
        self.trailers += len;
        self.check_trailers()?;
        self.state = ScanState::TrailerColon { run };
        Ok((len, run))
    }

    fn size_step(&self, byte: u8, value: u64, digits: u8) -> Result<ScanState, BadChunk> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            return add_digit(digit, value, digits);
        }
        let part = match self.lenient {
            true => Extension::first_lenient(byte),
            false => Extension::first(byte),
        };
        match part {
            _ if digits == 0 => Err(BadChunk("a chunk size is malformed")),
            Some(part) => Ok(ScanState::Extension { size: value, part }),
            None if byte == b'\r' => Ok(ScanState::SizeLf { size: value }),
            None => Err(BadChunk("a chunk size is malformed")),
        }
    }
}

/// Returns the length of the plain chunk at the start of `input`, and that of its data. `None` for
/// the last chunk and for any other bytes.
fn whole_chunk(input: &[u8]) -> Option<(usize, usize)> {
    let (mut size, mut digits) = (0, 0);
    while let Some(digit) = char::from(*input.get(digits)?).to_digit(16) {
        size = size * 16 + digit as usize;
        digits += 1;
        if digits > MAX_PLAIN_DIGITS {
            return None;
        }
    }
    let (data, end) = (digits + 2, digits + 2 + size);
    let is_plain =
        size > 0 && input.get(digits..data)? == b"\r\n" && input.get(end..end + 2)? == b"\r\n";
    is_plain.then_some((end + 2, size))
}

fn add_digit(digit: u32, value: u64, digits: u8) -> Result<ScanState, BadChunk> {
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
