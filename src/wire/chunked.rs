//! The chunked transfer coding (RFC 9112 §7.1), scanned as bytes come, in any pieces.
//!
//! The scanner says which leading bytes belong to the message, which of those are data and which go no
//! further: extensions, which we do not know, and trailer fields that must not be taken for fields of the
//! head. It copies and keeps nothing: the begun name of a trailer field is left to be shown again. It is
//! strict where lenient readers were fooled: sizes of at most 16 hex digits, CR LF only, all bounded.

use super::extension::Extension;
use super::trailer;

/// The most bytes of chunk extensions in one message.
pub const MAX_EXTENSIONS: usize = 16 * 1024;
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
pub enum Run {
    /// Chunk data.
    Data,
    /// Sizes, line ends, trailers.
    Frame,
    /// Extensions, and trailer fields that end here.
    Dropped,
}

/// Where in the coding the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size { value: u64, digits: u8 },
    Extension { size: u64, part: Extension },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerValue { run: Run },
    TrailerLf { run: Run },
    LastLf,
    Done,
}

impl At {
    const FIRST: Self = Self::Size {
        value: 0,
        digits: 0,
    };
}

/// The scanner of one message.
#[derive(Clone, Copy, Debug)]
pub struct Scanner {
    at: At,
    extensions: usize,
    trailers: usize,
    drops_trailers: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            at: At::FIRST,
            extensions: 0,
            trailers: 0,
            drops_trailers: false,
        }
    }
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

    /// Whether the message has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// The next run of `input`: how many bytes, and what they are. A length of 0 means that the message
    /// has ended, or that more is needed: what is left of `input` must then be shown again before it.
    ///
    /// # Errors
    /// When the coding is broken; bytes before the broken one may have been returned already.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Run), BadChunk> {
        if let At::Data { left } = self.at {
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            self.skip(len as u64);
            return Ok((len, Run::Data));
        }
        if self.at == At::TrailerStart && input.first() != Some(&b'\r') {
            return self.trailer_name(input);
        }
        let (mut used, mut run) = (0, Run::Frame);
        for byte in input {
            if matches!(self.at, At::Data { .. } | At::Done)
                || self.at == At::TrailerStart && used > 0
            {
                break;
            }
            let next = self.step(*byte)?;
            let kind = match (self.at, next) {
                (At::TrailerValue { run } | At::TrailerLf { run }, _) => run,
                (_, At::Extension { .. }) => Run::Dropped,
                _ => Run::Frame,
            };
            if used > 0 && kind != run {
                break;
            }
            self.count(next)?;
            (self.at, run) = (next, kind);
            used += 1;
        }
        Ok((used, run))
    }

    /// Bytes of chunk data that are certain to come next.
    #[must_use]
    pub fn data_left(&self) -> u64 {
        match self.at {
            At::Data { left } => left,
            _ => 0,
        }
    }

    /// Counts `len` bytes of [`Self::data_left`] as read.
    pub fn skip(&mut self, len: u64) {
        if let At::Data { left } = self.at {
            self.at = match left.saturating_sub(len) {
                0 => At::DataCr,
                left => At::Data { left },
            };
        }
    }

    /// Where a byte that leads from here leads to.
    fn step(&self, byte: u8) -> Result<At, BadChunk> {
        Ok(match (self.at, byte) {
            (At::Size { value, digits }, byte) => return size(byte, value, digits),
            (At::Extension { size, part }, b'\r') if part.may_end() => At::SizeLf { size },
            (At::Extension { size, part }, byte) => {
                let part = part.step(byte);
                let part = part.ok_or(BadChunk("a chunk extension is malformed"))?;
                At::Extension { size, part }
            }
            (At::SizeLf { size: 0 }, b'\n') => At::TrailerStart,
            (At::SizeLf { size: left }, b'\n') => At::Data { left },
            (At::SizeLf { .. }, _) => {
                return Err(BadChunk("a chunk size line does not end in CR LF"));
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::FIRST,
            (At::DataCr | At::DataLf, _) => {
                return Err(BadChunk("chunk data do not end in CR LF"));
            }
            (At::TrailerStart, b'\r') => At::LastLf,
            (At::TrailerValue { run }, b'\r') => At::TrailerLf { run },
            (At::TrailerValue { .. }, b'\t' | b' '..=b'~' | 0x80..) => self.at,
            (At::TrailerLf { .. }, b'\n') => At::TrailerStart,
            (At::LastLf, b'\n') => At::Done,
            (At::LastLf, _) => return Err(BadChunk("the last line does not end in CR LF")),
            // `next` stops in front of these two.
            (At::Data { .. } | At::Done, _) => self.at,
            _ => return Err(BadChunk("a trailer field is malformed")),
        })
    }

    /// Counts the byte that leads from here to `next`.
    fn count(&mut self, next: At) -> Result<(), BadChunk> {
        if matches!(next, At::Extension { .. }) {
            self.extensions += 1;
        }
        if matches!(
            self.at,
            At::TrailerStart | At::TrailerValue { .. } | At::TrailerLf { .. }
        ) {
            self.trailers += 1;
        }
        self.check()
    }

    fn check(&self) -> Result<(), BadChunk> {
        if self.extensions > MAX_EXTENSIONS {
            return Err(BadChunk("chunk extensions are too long"));
        }
        if self.trailers > MAX_TRAILERS {
            return Err(BadChunk("trailer fields are too long"));
        }
        Ok(())
    }

    /// The name of a trailer field and its colon, once they are all there: it says who reads the field.
    fn trailer_name(&mut self, input: &[u8]) -> Result<(usize, Run), BadChunk> {
        let end = input.iter().position(|byte| !is_token(*byte));
        let len = end.unwrap_or(input.len());
        if len > MAX_TRAILER_NAME {
            return Err(BadChunk("the name of a trailer field is too long"));
        }
        match input.get(len) {
            None => Ok((0, Run::Frame)),
            Some(b':') if len > 0 => {
                let run = match !self.drops_trailers && trailer::may_pass(&input[..len]) {
                    true => Run::Frame,
                    false => Run::Dropped,
                };
                self.trailers += len + 1;
                self.check()?;
                self.at = At::TrailerValue { run };
                Ok((len + 1, run))
            }
            Some(_) => Err(BadChunk("a trailer field is malformed")),
        }
    }
}

fn size(byte: u8, value: u64, digits: u8) -> Result<At, BadChunk> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        if digits == MAX_SIZE_DIGITS {
            return Err(BadChunk("a chunk size has too many digits"));
        }
        let value = value
            .checked_mul(16)
            .and_then(|value| value.checked_add(u64::from(digit)));
        let value = value.filter(|value| i64::try_from(*value).is_ok());
        let value = value.ok_or(BadChunk("a chunk size is too large"))?;
        return Ok(At::Size {
            value,
            digits: digits + 1,
        });
    }
    match Extension::begin(byte) {
        _ if digits == 0 => Err(BadChunk("a chunk size is malformed")),
        Some(part) => Ok(At::Extension { size: value, part }),
        None if byte == b'\r' => Ok(At::SizeLf { size: value }),
        None => Err(BadChunk("a chunk size is malformed")),
    }
}

/// RFC 9110 §5.6.2 tchar.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data and the number of bytes used when `input` comes in pieces of `size` bytes.
    fn scan(input: &[u8], size: usize) -> Result<(Vec<u8>, usize, bool), BadChunk> {
        let (data, _, used, done) = sort(Scanner::default(), input, size)?;
        Ok((data, used, done))
    }

    /// The data, what goes on, the number of bytes used, and whether the message has ended.
    fn sort(
        mut scanner: Scanner,
        input: &[u8],
        size: usize,
    ) -> Result<(Vec<u8>, Vec<u8>, usize, bool), BadChunk> {
        let (mut data, mut kept, mut used, mut here) = (Vec::new(), Vec::new(), 0, 0);
        while here < input.len() && !scanner.is_done() {
            here = (here + size).min(input.len());
            loop {
                let (len, run) = scanner.next(&input[used..here])?;
                let bytes = &input[used..used + len];
                used += len;
                if run == Run::Data {
                    data.extend_from_slice(bytes);
                }
                if run != Run::Dropped {
                    kept.extend_from_slice(bytes);
                }
                if len == 0 || used == here {
                    break;
                }
            }
        }
        Ok((data, kept, used, scanner.is_done()))
    }

    #[test]
    fn any_split_gives_the_same_data() {
        let body = b"3;a=b;c=\"d e\"\r\nabc\r\n00a\r\n0123456789\r\n0;z\r\nT: 1\r\nU:\r\n\r\n";
        let stream = [&body[..], b"GET / HTTP/1.1"].concat();
        for size in 1..=stream.len() {
            let (data, used, done) = scan(&stream, size).unwrap();
            assert_eq!(
                (data.as_slice(), used, done),
                (&b"abc0123456789"[..], body.len(), true)
            );
        }
    }

    #[test]
    fn broken_codings_are_refused() {
        for text in [
            "\r\n",
            ";a\r\n",
            "g\r\n",
            "0x3\r\n",
            "+3\r\n",
            "-3\r\n",
            " 3\r\n",
            "3 \r\n",
            "0_3\r\n",
            "3\nabc",
            "3;a\nabc",
            "3;a\rb\r\n",
            "3;\0\r\n",
            "3;\r\n",
            "3;=b\r\n",
            "3;a=\r\n",
            "3;a;\r\n",
            "3;a \r\n",
            "3;a b\r\n",
            "3;a=b c\r\n",
            "3;a=\"b\r\n",
            "3;a=\"b\"c\r\n",
            "3\r\nabcX",
            "3\r\nabc\rX",
            "3\r\nabc\n",
            "0\r\nnot a field\r\n",
            "0\r\n: x\r\n",
            "0\r\n x: y\r\n",
            "0\r\nA: b\nC: d\r\n",
            "0\r\nA: \x01\r\n",
            "0\r\n\rX",
            "10000000000000000\r\n",
            "8000000000000000\r\n",
        ] {
            for size in [1, text.len()] {
                assert!(
                    scan(text.as_bytes(), size).is_err(),
                    "{text:?} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn extensions_end_here_and_so_do_fields_that_belong_to_a_head() {
        let body = b"3 ; a=b;c = \"\\\"\r\n\";d\r\n".as_slice();
        assert!(scan(body, 1).is_err(), "no line ends inside quotes");
        let body = b"3\t;\ta=b;c = \"\\\";\";d\r\nabc\r\n00;z\r\nX-A: 1\r\nHost: a\r\n\
            content-LENGTH: 5\r\nX-B:\r\nRingmaster-Seat: 1\r\n\r\n";
        for size in 1..=body.len() {
            let (_, kept, used, _) = sort(Scanner::default(), body, size).unwrap();
            let kept = String::from_utf8(kept).unwrap();
            assert_eq!(kept, "3\r\nabc\r\n00\r\nX-A: 1\r\nX-B:\r\n\r\n");
            assert_eq!(used, body.len());
            let (_, kept, ..) = sort(Scanner::without_trailers(), body, size).unwrap();
            assert_eq!(kept, b"3\r\nabc\r\n00\r\n\r\n");
        }
    }

    #[test]
    fn the_name_of_a_trailer_field_is_bounded_at_the_edge() {
        let trailer = |len: usize| format!("0\r\n{}:\r\n\r\n", "x".repeat(len));
        for size in [1, 1000] {
            assert!(scan(trailer(MAX_TRAILER_NAME).as_bytes(), size).is_ok());
            assert!(scan(trailer(MAX_TRAILER_NAME + 1).as_bytes(), size).is_err());
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded_at_the_edge() {
        let extension = |len: usize| format!("0;{}\r\n\r\n", "x".repeat(len - 1));
        assert!(scan(extension(MAX_EXTENSIONS).as_bytes(), 999).is_ok());
        assert!(scan(extension(MAX_EXTENSIONS + 1).as_bytes(), 999).is_err());
        let trailer = |len: usize| format!("0\r\nA:{}\r\n\r\n", "x".repeat(len - 5));
        assert!(scan(trailer(MAX_TRAILERS).as_bytes(), 999).is_ok());
        assert!(scan(trailer(MAX_TRAILERS + 1).as_bytes(), 999).is_err());
    }
}
