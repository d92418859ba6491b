//! The chunked transfer coding (RFC 9112 §7.1), scanned as bytes come, in any pieces.
//!
//! The scanner says which leading bytes belong to the message and which of those are data; it copies and
//! keeps nothing. It is strict where lenient readers were fooled: sizes of at most 16 hex digits, CR LF
//! only, no control characters in extensions, field lines only in the trailer section, all bounded.

/// The most bytes of chunk extensions in one message.
pub const MAX_EXTENSIONS: usize = 16 * 1024;
/// The most bytes of trailer fields in one message.
pub const MAX_TRAILERS: usize = 16 * 1024;
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
    /// Sizes, extensions, line ends, trailers.
    Frame,
}

/// Where in the coding the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size { value: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Done,
}

/// The scanner of one message.
#[derive(Clone, Copy, Debug)]
pub struct Scanner {
    at: At,
    extensions: usize,
    trailers: usize,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            at: At::Size {
                value: 0,
                digits: 0,
            },
            extensions: 0,
            trailers: 0,
        }
    }
}

impl Scanner {
    /// Whether the message has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// The next run of `input`: how many bytes, and what they are. A length of 0 means that the input
    /// is used up or the message has ended.
    ///
    /// # Errors
    /// When the coding is broken; bytes before the broken one may have been returned already.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Run), BadChunk> {
        if let At::Data { left } = self.at {
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            let left = left - len as u64;
            self.at = if left == 0 {
                At::DataCr
            } else {
                At::Data { left }
            };
            return Ok((len, Run::Data));
        }
        let mut used = 0;
        for byte in input {
            if matches!(self.at, At::Data { .. } | At::Done) {
                break;
            }
            self.at = self.step(*byte)?;
            used += 1;
        }
        Ok((used, Run::Frame))
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

    fn step(&mut self, byte: u8) -> Result<At, BadChunk> {
        Ok(match self.at {
            At::Size { value, digits } => return self.size(byte, value, digits),
            At::Extension { size } => match byte {
                b'\r' => At::SizeLf { size },
                b'\t' | b' '..=b'~' | 0x80.. => {
                    self.extensions += 1;
                    if self.extensions > MAX_EXTENSIONS {
                        return Err(BadChunk("chunk extensions are too long"));
                    }
                    At::Extension { size }
                }
                _ => return Err(BadChunk("a chunk extension is malformed")),
            },
            At::SizeLf { size } => match (byte, size) {
                (b'\n', 0) => At::TrailerStart,
                (b'\n', left) => At::Data { left },
                _ => return Err(BadChunk("a chunk size line does not end in CR LF")),
            },
            At::DataCr if byte == b'\r' => At::DataLf,
            At::DataLf if byte == b'\n' => At::Size {
                value: 0,
                digits: 0,
            },
            At::DataCr | At::DataLf => return Err(BadChunk("chunk data do not end in CR LF")),
            At::LastLf if byte == b'\n' => At::Done,
            At::LastLf => return Err(BadChunk("the last line does not end in CR LF")),
            // `next` stops in front of these two.
            At::Data { .. } | At::Done => self.at,
            _ => return self.trailer(byte),
        })
    }

    fn size(&mut self, byte: u8, value: u64, digits: u8) -> Result<At, BadChunk> {
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
        match byte {
            b'\r' if digits > 0 => Ok(At::SizeLf { size: value }),
            b';' if digits > 0 => {
                self.extensions += 1;
                Ok(At::Extension { size: value })
            }
            _ => Err(BadChunk("a chunk size is malformed")),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<At, BadChunk> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS {
            return Err(BadChunk("trailer fields are too long"));
        }
        Ok(match (self.at, byte) {
            (At::TrailerStart, b'\r') => At::LastLf,
            (At::TrailerStart | At::TrailerName, byte) if is_token(byte) => At::TrailerName,
            (At::TrailerName, b':') => At::TrailerValue,
            (At::TrailerValue, b'\r') => At::TrailerLf,
            (At::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => At::TrailerValue,
            (At::TrailerLf, b'\n') => At::TrailerStart,
            _ => return Err(BadChunk("a trailer field is malformed")),
        })
    }
}

/// RFC 9110 §5.6.2 tchar.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data and the number of bytes used when `input` comes in pieces of `size` bytes.
    fn scan(input: &[u8], size: usize) -> Result<(Vec<u8>, usize, bool), BadChunk> {
        let (mut scanner, mut data, mut used) = (Scanner::default(), Vec::new(), 0);
        for piece in input.chunks(size) {
            let mut piece = piece;
            loop {
                let (len, run) = scanner.next(piece)?;
                if run == Run::Data {
                    data.extend_from_slice(&piece[..len]);
                }
                used += len;
                piece = &piece[len..];
                if piece.is_empty() || scanner.is_done() {
                    break;
                }
            }
            if scanner.is_done() {
                break;
            }
        }
        Ok((data, used, scanner.is_done()))
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
    fn extensions_and_trailers_are_bounded_at_the_edge() {
        let extension = |len: usize| format!("0;{}\r\n\r\n", "x".repeat(len - 1));
        assert!(scan(extension(MAX_EXTENSIONS).as_bytes(), 999).is_ok());
        assert!(scan(extension(MAX_EXTENSIONS + 1).as_bytes(), 999).is_err());
        let trailer = |len: usize| format!("0\r\nA:{}\r\n\r\n", "x".repeat(len - 5));
        assert!(scan(trailer(MAX_TRAILERS).as_bytes(), 999).is_ok());
        assert!(scan(trailer(MAX_TRAILERS + 1).as_bytes(), 999).is_err());
    }
}
