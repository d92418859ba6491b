//! Where a message's body ends (RFC 9112 §6), decided once from its head, then followed byte by byte.
//!
//! Any doubt is a refusal: two ways to read one body are how requests are smuggled. Content-Length is
//! digits only (Rust's own parser would take "+5"), given once; Transfer-Encoding is `chunked` alone.

use bytes::BytesMut;

use super::chunked::{BadChunk, Run, Scanner};
use super::head::{BadResponse, Fields, Refused, Version};

/// How much of a body is still to come.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// This many bytes; 0 when it is complete.
    Length(u64),
    /// Chunks, as far as the scanner has come.
    Chunked(Scanner),
    /// All that comes until the connection ends; responses only.
    UntilClose,
}

impl Body {
    /// No body.
    pub const NONE: Self = Self::Length(0);

    /// Whether nothing more belongs to this body. A body until close never knows.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(scanner) => scanner.is_done(),
            Self::UntilClose => false,
        }
    }

    /// Appends to `out` what goes on of the leading bytes of `input` that belong to this body. How many
    /// there are; they count as taken. The others must be shown again, unless the body is complete.
    ///
    /// # Errors
    /// When the chunked coding is broken.
    pub fn relay(&mut self, input: &[u8], out: &mut BytesMut) -> Result<usize, BadChunk> {
        self.follow(input, |bytes, run| {
            if run != Run::Dropped {
                out.extend_from_slice(bytes);
            }
        })
    }

    /// Like [`Self::relay`], but only the data go on: the chunked coding is removed.
    ///
    /// # Errors
    /// When the chunked coding is broken.
    pub fn decode(&mut self, input: &[u8], out: &mut BytesMut) -> Result<usize, BadChunk> {
        self.follow(input, |bytes, run| {
            if run == Run::Data {
                out.extend_from_slice(bytes);
            }
        })
    }

    /// Like [`Self::relay`] where all that belongs to the body goes on as it is; 0 for chunks.
    pub fn take_plain(&mut self, input: &[u8]) -> usize {
        let ahead = usize::try_from(self.plain_ahead()).unwrap_or(usize::MAX);
        let len = match self {
            Self::Chunked(_) => 0,
            _ => ahead.min(input.len()),
        };
        self.skip(len as u64);
        len
    }

    /// How many bytes are certain to come next as they are, whatever they hold: data that need not be
    /// looked at.
    #[must_use]
    pub fn plain_ahead(&self) -> u64 {
        match self {
            Self::Length(left) => *left,
            Self::Chunked(scanner) => scanner.data_left(),
            Self::UntilClose => u64::MAX,
        }
    }

    /// Bytes of chunked framing so far, modulo 2^32.
    #[must_use]
    pub fn scanned(&self) -> u32 {
        match self {
            Self::Chunked(scanner) => scanner.scanned(),
            Self::Length(_) | Self::UntilClose => 0,
        }
    }

    /// Counts `len` bytes of [`Self::plain_ahead`] as taken.
    pub fn skip(&mut self, len: u64) {
        debug_assert!(len <= self.plain_ahead());
        match self {
            Self::Length(left) => *left = left.saturating_sub(len),
            Self::Chunked(scanner) => scanner.skip(len),
            Self::UntilClose => {}
        }
    }

    fn follow(
        &mut self,
        input: &[u8],
        mut sink: impl FnMut(&[u8], Run),
    ) -> Result<usize, BadChunk> {
        let Self::Chunked(scanner) = self else {
            let len = self.take_plain(input);
            sink(&input[..len], Run::Data);
            return Ok(len);
        };
        let mut used = 0;
        loop {
            let (len, run) = scanner.next(&input[used..])?;
            sink(&input[used..used + len], run);
            used += len;
            if len == 0 || used == input.len() {
                return Ok(used);
            }
        }
    }
}

/// What the framing fields of a head say.
enum Said {
    Nothing,
    Length(u64),
    Chunked,
}

/// Why framing fields cannot be followed.
enum Doubt {
    Length,
    Both,
    Coding,
    Old,
}

/// The body of a request.
///
/// # Errors
/// 400 when the length is in doubt, 501 for a transfer coding we do not know.
pub fn of_request(version: Version, fields: &Fields<'_, '_>) -> Result<Body, Refused> {
    match read(version, fields) {
        Ok(Said::Nothing) => Ok(Body::NONE),
        Ok(Said::Length(length)) => Ok(Body::Length(length)),
        Ok(Said::Chunked) => Ok(Body::Chunked(scanner(fields))),
        Err(Doubt::Length) => Err(Refused::bad("Content-Length is malformed or given twice")),
        Err(Doubt::Both) => Err(Refused::bad("both Content-Length and Transfer-Encoding")),
        Err(Doubt::Old) => Err(Refused::bad("Transfer-Encoding in HTTP/1.0")),
        Err(Doubt::Coding) => Err(Refused {
            status: 501,
            why: "only the transfer coding chunked is supported",
        }),
    }
}

/// The body of a response with this status to a request that was (`to_head`) or was not HEAD.
///
/// # Errors
/// When its length is in doubt.
pub fn of_response(
    status: u16,
    to_head: bool,
    version: Version,
    fields: &Fields<'_, '_>,
) -> Result<Body, BadResponse> {
    let bodiless = status < 200 || status == 204;
    if bodiless {
        // RFC 9112 §6.3(1): whatever its fields say, and they are not passed on.
        return Ok(Body::NONE);
    }
    let said = read(version, fields).map_err(|doubt| {
        BadResponse(match doubt {
            Doubt::Length => "Content-Length is malformed or given twice",
            Doubt::Both => "both Content-Length and Transfer-Encoding",
            Doubt::Old => "Transfer-Encoding in HTTP/1.0",
            Doubt::Coding => "unknown transfer coding",
        })
    })?;
    Ok(match said {
        _ if to_head || status == 304 => Body::NONE,
        Said::Nothing => Body::UntilClose,
        Said::Length(length) => Body::Length(length),
        Said::Chunked => Body::Chunked(scanner(fields)),
    })
}

fn read(version: Version, fields: &Fields<'_, '_>) -> Result<Said, Doubt> {
    let mut lengths = fields.iter().filter(|field| field.is("content-length"));
    let mut codings = fields.iter().filter(|field| field.is("transfer-encoding"));
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Said::Nothing),
        (Some(_), Some(_)) => Err(Doubt::Both),
        (Some(_), None) if lengths.next().is_some() => Err(Doubt::Length),
        (Some(length), None) => content_length(length.value)
            .map(Said::Length)
            .ok_or(Doubt::Length),
        (None, Some(_)) if version == Version::Http10 => Err(Doubt::Old),
        (None, Some(_)) if codings.next().is_some() => Err(Doubt::Coding),
        (None, Some(coding)) if coding.value.eq_ignore_ascii_case(b"chunked") => Ok(Said::Chunked),
        (None, Some(_)) => Err(Doubt::Coding),
    }
}

/// RFC 9110 §7.6.1: a field that Connection nominates is removed from the trailers too. Any of them may be
/// dropped (§6.5.1), so all are where one other than the usual ones is nominated.
fn scanner(fields: &Fields<'_, '_>) -> Scanner {
    let usual = ["close", "keep-alive", "upgrade", "te"];
    let is_usual = |member: &[u8]| {
        usual
            .iter()
            .any(|option| member.eq_ignore_ascii_case(option.as_bytes()))
    };
    if fields.members("connection").all(is_usual) {
        Scanner::default()
    } else {
        Scanner::without_trailers()
    }
}

/// 1*DIGIT (RFC 9110 §8.6) up to 2^63-1.
#[must_use]
pub fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(value).ok()?;
    digits
        .parse::<i64>()
        .ok()
        .and_then(|length| u64::try_from(length).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{self, Room};

    fn request_body(fields: &str) -> Result<Body, Refused> {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut room = Room::default();
        let head = head::request(text.as_bytes(), &mut room).unwrap().unwrap();
        of_request(head.version, &head.fields)
    }

    #[test]
    fn content_length_is_digits_only() {
        assert_eq!(content_length(b"0003"), Some(3));
        assert_eq!(content_length(b"9223372036854775807"), Some((1 << 63) - 1));
        for bad in [
            "",
            "+5",
            "-5",
            "5 5",
            "0x3",
            "3.0",
            "1_0",
            "3, 3",
            "9223372036854775808",
        ] {
            assert_eq!(content_length(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn doubtful_requests_are_refused() {
        for (fields, status) in [
            ("Content-Length: 3\r\nContent-Length: 3\r\n", 400),
            ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
            ("Transfer-Encoding: gzip, chunked\r\n", 501),
            ("Transfer-Encoding: chunked, chunked\r\n", 501),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                501,
            ),
            ("Transfer-Encoding: chunked;q=1\r\n", 501),
            ("Transfer-Encoding:\r\n", 501),
        ] {
            assert_eq!(request_body(fields).unwrap_err().status, status, "{fields}");
        }
        assert!(matches!(
            request_body("Transfer-Encoding: CHUNKED \r\n"),
            Ok(Body::Chunked(_))
        ));
        assert!(matches!(request_body(""), Ok(Body::Length(0))));
    }

    #[test]
    fn a_body_takes_its_own_bytes_only() {
        let mut body = Body::Length(3);
        let mut out = BytesMut::new();
        assert_eq!(body.relay(b"ab", &mut out), Ok(2));
        assert!(!body.is_complete());
        assert_eq!(body.relay(b"cGET", &mut out), Ok(1));
        assert_eq!(&out[..], b"abc");
        assert!(body.is_complete());
        let mut chunked = Body::Chunked(Scanner::default());
        let mut out = BytesMut::new();
        assert_eq!(
            chunked.decode(b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\nGET", &mut out),
            Ok(19)
        );
        assert!(chunked.is_complete());
        assert_eq!(&out[..], b"abcd");
    }
}
