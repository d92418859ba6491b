//! Length of a message's body (RFC 9112 §6), decided once from its head and then tracked byte by
//! byte.
//!
//! In a request any ambiguity is an error: two readings of one body make request smuggling
//! possible. Content-Length is digits only (Rust's own parser would accept "+5"), given once;
//! Transfer-Encoding is `chunked` alone. A response is accepted if other proxies accept it and only
//! one reading fits. [`Framing::announced`] gives the form in which it is forwarded: one field, in
//! canonical form.

mod fields;

use bytes::BytesMut;

use super::chunked::{BadChunk, Scanner, Segment};
use super::head::{BadResponse, Fields, RequestError};
use super::version::Version;
use fields::{FramingError, request_framing, response_fields};
pub use fields::{FramingField, content_length};

/// Rest of a body.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// This many bytes; 0 when it is complete.
    Length(u64),
    /// Chunks, with the state of the scanner.
    Chunked(Scanner),
    /// All bytes until the connection ends; responses only.
    UntilClose,
}

impl Body {
    /// No body.
    pub const NONE: Self = Self::Length(0);

    /// Returns `true` if no more bytes belong to this body. A body until close is never complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(scanner) => scanner.is_done(),
            Self::UntilClose => false,
        }
    }

    /// Appends to `out` the forwarded part of the leading bytes of `input` that belong to this
    /// body.
    ///
    /// Returns the number of these leading bytes, which count as read. The caller presents the
    /// others again, unless the body is complete.
    ///
    /// # Errors
    /// If the chunked coding is broken.
    pub fn relay(&mut self, input: &[u8], out: &mut BytesMut) -> Result<usize, BadChunk> {
        self.scan(input, true, |bytes, run| {
            if run != Segment::Dropped {
                out.extend_from_slice(bytes);
            }
        })
    }

    /// Like [`Self::relay`], but forwards only the data: the chunked coding is removed.
    ///
    /// # Errors
    /// If the chunked coding is broken.
    pub fn decode(&mut self, input: &[u8], out: &mut BytesMut) -> Result<usize, BadChunk> {
        self.scan(input, false, |bytes, run| {
            if run == Segment::Data {
                out.extend_from_slice(bytes);
            }
        })
    }

    /// Returns the number of leading bytes that are forwarded unchanged, and counts them as read; 0
    /// for chunks.
    pub fn take_opaque(&mut self, input: &[u8]) -> usize {
        let ahead = usize::try_from(self.opaque_ahead()).unwrap_or(usize::MAX);
        let len = match self {
            Self::Chunked(_) => 0,
            _ => ahead.min(input.len()),
        };
        self.skip(len as u64);
        len
    }

    /// Returns the number of bytes that are certain to come next and are forwarded unchanged: data
    /// that need no inspection.
    #[must_use]
    pub fn opaque_ahead(&self) -> u64 {
        match self {
            Self::Length(left) => *left,
            Self::Chunked(scanner) => scanner.data_left(),
            Self::UntilClose => u64::MAX,
        }
    }

    /// Returns the bytes of chunked framing so far, weighted as by [`Scanner::scanned`].
    #[must_use]
    pub fn scanned(&self) -> u32 {
        match self {
            Self::Chunked(scanner) => scanner.scanned(),
            Self::Length(_) | Self::UntilClose => 0,
        }
    }

    /// Counts `len` bytes of [`Self::opaque_ahead`] as read.
    pub fn skip(&mut self, len: u64) {
        debug_assert!(len <= self.opaque_ahead());
        match self {
            Self::Length(left) => *left = left.saturating_sub(len),
            Self::Chunked(scanner) => scanner.skip(len),
            Self::UntilClose => {}
        }
    }

    /// Calls `sink` with each run of the leading bytes that belong to this body. With `joined`, a
    /// run of kind `Frame` may contain whole chunks.
    fn scan(
        &mut self,
        input: &[u8],
        joined: bool,
        mut sink: impl FnMut(&[u8], Segment),
    ) -> Result<usize, BadChunk> {
        let Self::Chunked(scanner) = self else {
            let len = self.take_opaque(input);
            sink(&input[..len], Segment::Data);
            return Ok(len);
        };
        let mut used = 0;
        loop {
            if joined {
                let len = scanner.take_whole_chunks(&input[used..]);
                sink(&input[used..used + len], Segment::Frame);
                used += len;
            }
            let (len, run) = scanner.next(&input[used..])?;
            sink(&input[used..used + len], run);
            used += len;
            if len == 0 || used == input.len() {
                return Ok(used);
            }
        }
    }
}

/// Returns the body of a request.
///
/// # Errors
/// 400 if the length is ambiguous, 501 for an unknown transfer coding.
pub fn request_body(version: Version, fields: &Fields<'_, '_>) -> Result<Body, RequestError> {
    match request_framing(version, fields) {
        Ok(FramingField::Nothing) => Ok(Body::NONE),
        Ok(FramingField::Length(length)) => Ok(Body::Length(length)),
        Ok(FramingField::Chunked) => Ok(Body::Chunked(scanner(fields))),
        Err(error) => Err(RequestError {
            status: if matches!(error, FramingError::Coding) {
                501
            } else {
                400
            },
            why: error.as_str(),
        }),
    }
}

/// Framing of a response.
#[derive(Clone, Copy, Debug)]
pub struct Framing {
    /// Body that follows.
    pub body: Body,
    /// Framing field of the forwarded head. If the body is omitted, that of the response to a GET.
    pub announced: FramingField,
    /// `true` if another response may follow on the same connection: not after a framing field had
    /// to be ignored (RFC 9112 §6.1).
    pub reusable: bool,
}

/// Returns the framing of a response with this status; `to_head` if the request was HEAD.
///
/// # Errors
/// If a body of ambiguous length follows.
pub fn response_framing(
    status: u16,
    to_head: bool,
    version: Version,
    fields: &Fields<'_, '_>,
) -> Result<Framing, BadResponse> {
    // RFC 9112 §6.3(1): no body whatever the fields are. RFC 9110 §8.6, RFC 9112 §6.1: these
    // statuses have no framing field.
    if status < 200 || status == 204 {
        return Ok(Framing {
            body: Body::NONE,
            announced: FramingField::Nothing,
            reusable: true,
        });
    }
    let framing = response_fields(version, fields);
    if to_head || status == 304 {
        let (announced, reusable) = framing.unwrap_or((FramingField::Nothing, false));
        return Ok(Framing {
            body: Body::NONE,
            announced,
            reusable,
        });
    }
    let (announced, reusable) = framing.map_err(|error| BadResponse(error.as_str()))?;
    let body = match announced {
        FramingField::Nothing => Body::UntilClose,
        FramingField::Length(length) => Body::Length(length),
        FramingField::Chunked => Body::Chunked(scanner(fields).leniently()),
    };
    Ok(Framing {
        body,
        announced,
        reusable,
    })
}

/// RFC 9110 §7.6.1: a field that Connection nominates is removed from the trailers too. Any trailer
/// may be dropped (§6.5.1), so all of them are if Connection nominates an unusual one.
fn scanner(fields: &Fields<'_, '_>) -> Scanner {
    let common = ["close", "keep-alive", "upgrade", "te"];
    let is_common = |member: &[u8]| {
        common
            .iter()
            .any(|option| member.eq_ignore_ascii_case(option.as_bytes()))
    };
    if fields.members("connection").all(is_common) {
        Scanner::default()
    } else {
        Scanner::without_trailers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{self, HeaderSlots};

    fn body_of(fields: &str) -> Result<Body, RequestError> {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = HeaderSlots::default();
        let head = head::request(text.as_bytes(), &mut slots).unwrap().unwrap();
        request_body(head.version, &head.fields)
    }

    #[test]
    fn ambiguous_requests_are_refused() {
        for (fields, status) in [
            ("Content-Length: 3\r\nContent-Length: 3\r\n", 400),
            ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
            ("Content-Length: 3, 3\r\n", 400),
            ("Transfer-Encoding: gzip, chunked\r\n", 501),
            (
                "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                501,
            ),
            ("Transfer-Encoding: chunked, gzip\r\n", 400),
            ("Transfer-Encoding: gzip\r\n", 400),
            ("Transfer-Encoding: chunked, chunked\r\n", 400),
            ("Transfer-Encoding: , chunked\r\n", 400),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                400,
            ),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                400,
            ),
            ("Transfer-Encoding: chunked;q=1\r\n", 400),
            ("Transfer-Encoding:\r\n", 400),
        ] {
            assert_eq!(body_of(fields).unwrap_err().status, status, "{fields}");
        }
        assert!(matches!(
            body_of("Transfer-Encoding: CHUNKED \r\n"),
            Ok(Body::Chunked(_))
        ));
        assert!(matches!(body_of(""), Ok(Body::Length(0))));
    }

    /// Returns the announced framing of a response, and whether the connection is reusable.
    fn announced(
        status: u16,
        to_head: bool,
        version: &str,
        fields: &str,
    ) -> Option<(FramingField, bool)> {
        let text = format!("HTTP/{version} {status} X\r\n{fields}\r\n");
        let mut slots = head::ResponseHeaderSlots::default();
        let head = head::response(text.as_bytes(), &mut slots)
            .unwrap()
            .unwrap();
        let framing = response_framing(status, to_head, head.version, &head.fields).ok()?;
        let is_omitted = to_head || matches!(status, 100..200 | 204 | 304);
        let expected = match framing.announced {
            _ if is_omitted => Body::NONE,
            FramingField::Nothing => Body::UntilClose,
            FramingField::Length(length) => Body::Length(length),
            FramingField::Chunked => Body::Chunked(Scanner::default().leniently()),
        };
        assert_eq!(format!("{:?}", framing.body), format!("{expected:?}"));
        Some((framing.announced, framing.reusable))
    }

    #[test]
    fn a_response_with_one_reading_is_accepted() {
        use FramingField::{Chunked, Length, Nothing};
        for (fields, expected) in [
            ("", Some((Nothing, true))),
            (
                "Content-Length: 02\r\nContent-Length: 2\r\n",
                Some((Length(2), true)),
            ),
            ("Content-Length: 2,\t2 ,002\r\n", Some((Length(2), true))),
            ("Content-Length: 2, 3\r\n", None),
            ("Content-Length: 2\r\nContent-Length: 3\r\n", None),
            ("Content-Length: 2,\r\n", None),
            ("Content-Length: \r\n", None),
            ("Content-Length: +2\r\n", None),
            ("Transfer-Encoding: Chunked,\r\n", Some((Chunked, true))),
            ("Transfer-Encoding: , chunked\r\n", Some((Chunked, true))),
            (
                "Transfer-Encoding:\r\nContent-Length: 2\r\n",
                Some((Length(2), false)),
            ),
            (
                "Content-Length: x\r\nTransfer-Encoding: chunked\r\n",
                Some((Chunked, false)),
            ),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                None,
            ),
            ("Transfer-Encoding: gzip, chunked\r\n", None),
            ("Transfer-Encoding: identity\r\n", None),
        ] {
            assert_eq!(announced(200, false, "1.1", fields), expected, "{fields}");
        }
        let coding = "Transfer-Encoding: chunked\r\n";
        assert_eq!(announced(200, false, "1.0", coding), Some((Chunked, false)));
        let both = format!("{coding}Content-Length: 2\r\n");
        assert_eq!(announced(200, false, "1.0", &both), None);
    }

    #[test]
    fn a_response_without_a_body_is_accepted_whatever_it_announces() {
        use FramingField::{Chunked, Length, Nothing};
        for (fields, expected) in [
            ("", (Nothing, true)),
            (
                "Content-Length: 2\r\nContent-Length: 2\r\n",
                (Length(2), true),
            ),
            (
                "Content-Length: 2\r\nContent-Length: 3\r\n",
                (Nothing, false),
            ),
            ("Content-Length: x\r\n", (Nothing, false)),
            (
                "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
                (Chunked, false),
            ),
            (
                "Transfer-Encoding: gzip\r\nContent-Length: 2\r\n",
                (Nothing, false),
            ),
        ] {
            for (status, to_head) in [(200, true), (404, true), (304, false), (304, true)] {
                let found = announced(status, to_head, "1.1", fields);
                assert_eq!(found, Some(expected), "{status} {fields}");
            }
            for status in [103, 204] {
                let found = announced(status, false, "1.1", fields);
                assert_eq!(found, Some((Nothing, true)), "{status} {fields}");
            }
        }
    }

    #[test]
    fn a_body_reads_its_own_bytes_only() {
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
