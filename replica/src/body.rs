//! End of a request body: a state machine that reads bytes and buffers none. Pure.
//!
//! The replica needs only the end of a body, where the next request begins. A body that two parsers
//! could read differently is refused (RFC 9112 §7.1).

use crate::refusal::Refusal;

/// Maximum number of bytes in the chunk extensions and trailers of one body.
const MAX_EXTRAS: usize = 32 * 1024;

/// Maximum number of digits in a chunk size. 16 hexadecimal digits fill 64 bits.
const MAX_SIZE_DIGITS: u8 = 16;

/// Unread rest of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Body {
    state: State,
    extras: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Length(u64),
    /// Within a chunk size: its value so far and its number of digits (RFC 9112 §7.1).
    Size(u64, u8),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
}

impl Body {
    /// Creates an empty body.
    pub(crate) const fn none() -> Self {
        Self::at(State::Done)
    }

    /// Creates a body of `length` bytes.
    pub(crate) const fn of_length(length: u64) -> Self {
        Self::at(if length == 0 {
            State::Done
        } else {
            State::Length(length)
        })
    }

    /// Creates a body in the chunked coding.
    pub(crate) const fn chunked() -> Self {
        Self::at(State::Size(0, 0))
    }

    const fn at(state: State) -> Self {
        Self { state, extras: 0 }
    }

    /// Returns `true` if the body is complete.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Consumes the bytes of the body at the start of `bytes`, and returns their number.
    pub(crate) fn skip(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut used = 0;
        while used < bytes.len() && !self.is_done() {
            used += match self.state {
                State::Length(left) | State::Data(left) => self.skip_data(left, bytes.len() - used),
                _ => {
                    self.state = self.next(bytes[used])?;
                    1
                }
            };
        }
        Ok(used)
    }

    fn skip_data(&mut self, left: u64, available: usize) -> usize {
        let taken = usize::try_from(left).map_or(available, |left| left.min(available));
        let left = left - taken as u64;
        self.state = match self.state {
            State::Length(_) if left == 0 => State::Done,
            State::Length(_) => State::Length(left),
            _ if left == 0 => State::DataCr,
            _ => State::Data(left),
        };
        taken
    }

    fn next(&mut self, byte: u8) -> Result<State, Refusal> {
        Ok(match (self.state, byte) {
            (State::Size(size, 1..), b'\r') => State::SizeLf(size),
            (State::Size(size, 1..), b';' | b' ' | b'\t') => State::Extension(size),
            (State::Size(size, digits), _) => {
                let digit = char::from(byte).to_digit(16).ok_or(BAD_CHUNK)?;
                if digits == MAX_SIZE_DIGITS {
                    return Err(BAD_CHUNK);
                }
                State::Size(size << 4 | u64::from(digit), digits + 1)
            }
            (State::Extension(size), b'\r') => State::SizeLf(size),
            (State::SizeLf(0), b'\n') => State::TrailerStart,
            (State::SizeLf(size), b'\n') => State::Data(size),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0, 0),
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::LastLf, b'\n') => State::Done,
            (State::Extension(_) | State::Trailer | State::TrailerStart, byte) => {
                self.extras += 1;
                if byte == b'\n' || self.extras > MAX_EXTRAS {
                    return Err(BAD_CHUNK);
                }
                match self.state {
                    State::Extension(size) => State::Extension(size),
                    _ => State::Trailer,
                }
            }
            _ => return Err(BAD_CHUNK),
        })
    }
}

const BAD_CHUNK: Refusal = Refusal::bad("malformed chunk");

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nT: v\r\nU: w\r\n\r\n";

    #[test]
    fn a_chunked_body_ends_where_it_ends_however_it_is_cut() {
        for cut in 0..=WHOLE.len() {
            let mut body = Body::chunked();
            assert_eq!(body.skip(&WHOLE[..cut]), Ok(cut));
            assert_eq!(body.is_done(), cut == WHOLE.len(), "{cut}");
            let rest = [&WHOLE[cut..], b"GET"].concat();
            assert_eq!(body.skip(&rest), Ok(WHOLE.len() - cut));
            assert!(body.is_done());
        }
    }

    #[test]
    fn a_length_is_counted_down() {
        let mut body = Body::of_length(5);
        assert_eq!(body.skip(b"abc"), Ok(3));
        assert!(!body.is_done());
        assert_eq!(body.skip(b"deGET"), Ok(2));
        assert!(body.is_done());
        assert!(Body::of_length(0).is_done() && Body::none().is_done());
    }

    #[test]
    fn malformed_chunks_are_refused() {
        let cases: [&[u8]; 9] = [
            b"\r\n",
            b"g\r\n",
            b"+1\r\na\r\n",
            b"1\na\r\n",
            b"1\r\nabc",
            b"1\r\na\n",
            b"1;x\n",
            b"11111111111111111\r\n",
            b"0\r\nT: v\n\r\n",
        ];
        for case in cases {
            assert_eq!(Body::chunked().skip(case), Err(BAD_CHUNK), "{case:?}");
        }
        let extras = [b"1;".as_slice(), &[b'x'; MAX_EXTRAS + 1]].concat();
        assert_eq!(Body::chunked().skip(&extras), Err(BAD_CHUNK));
    }
}
