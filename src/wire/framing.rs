//! Where a message's body ends (RFC 9112 §6), decided once from its head, then followed byte by byte.
//!
//! Any doubt is a refusal: two ways to read one body are how requests are smuggled. Content-Length is
//! digits only (Rust's own parser would take "+5"); Transfer-Encoding is `chunked` alone. A request gives
//! either of them once. A response may repeat the same value (RFC 9110 §8.6): one field goes on.

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

    /// Whether it comes in chunks.
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        matches!(self, Self::Chunked(_))
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

/// The framing of a response.
#[derive(Clone, Copy, Debug)]
pub struct Framing {
    /// The body that follows.
    pub body: Body,
    /// What its framing field says where it has one that goes on. With an answer to HEAD and a 304 that is
    /// the body which an answer to GET would have.
    pub said: Option<Body>,
}

impl Framing {
    const NONE: Self = Self {
        body: Body::NONE,
        said: None,
    };
}

/// Why framing fields cannot be followed.
enum Doubt {
    Length,
    Both,
    /// The last transfer coding is not `chunked`: the body has no end that we could know.
    Endless,
    Coding,
    Old,
}

/// Whose framing fields are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
}

/// The body of a request.
///
/// # Errors
/// 400 when the length is in doubt, 501 for a transfer coding we do not know.
pub fn of_request(version: Version, fields: &Fields<'_, '_>) -> Result<Body, Refused> {
    match read(Sender::Client, version, fields) {
        Ok(said) => Ok(said.unwrap_or(Body::NONE)),
        Err(Doubt::Length) => Err(Refused::bad("Content-Length is malformed or given twice")),
        Err(Doubt::Both) => Err(Refused::bad("both Content-Length and Transfer-Encoding")),
        Err(Doubt::Old) => Err(Refused::bad("Transfer-Encoding in HTTP/1.0")),
        // RFC 9112 §6.3(4).
        Err(Doubt::Endless) => Err(Refused::bad("the last transfer coding is not chunked")),
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
) -> Result<Framing, BadResponse> {
    if status < 200 || status == 204 {
        // RFC 9112 §6.3(1): whatever its fields say, and they are not passed on.
        return Ok(Framing::NONE);
    }
    let read = read(Sender::Server, version, fields);
    if to_head || status == 304 {
        // RFC 9112 §6.3(1): no body either. Fields in doubt would be passed on for nothing.
        let said = read.unwrap_or(None);
        return Ok(Framing {
            said,
            ..Framing::NONE
        });
    }
    let said = read.map_err(|doubt| {
        BadResponse(match doubt {
            Doubt::Length => "Content-Length is malformed or given twice",
            Doubt::Both => "both Content-Length and Transfer-Encoding",
            Doubt::Old => "Transfer-Encoding in HTTP/1.0",
            Doubt::Endless | Doubt::Coding => "unknown transfer coding",
        })
    })?;
    let body = said.unwrap_or(Body::UntilClose);
    Ok(Framing { body, said })
}

/// What the framing fields of a head say; `None` where there are none.
fn read(sender: Sender, version: Version, fields: &Fields<'_, '_>) -> Result<Option<Body>, Doubt> {
    let mut lengths = fields.iter().filter(|field| field.is("content-length"));
    let mut codings = fields.iter().filter(|field| field.is("transfer-encoding"));
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Doubt::Both),
        (Some(first), None) => {
            let more = lengths.map(|field| field.value);
            length(sender, first.value, more).map(|length| Some(Body::Length(length)))
        }
        (None, Some(_)) if version == Version::Http10 => Err(Doubt::Old),
        (None, Some(first)) => {
            let plain = first.value.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            if !plain {
                check_codings(sender, fields)?;
            }
            Ok(Some(Body::Chunked(scanner(sender, fields))))
        }
    }
}

/// The length that all Content-Length fields of a head agree on.
fn length<'b>(
    sender: Sender,
    first: &'b [u8],
    mut more: impl Iterator<Item = &'b [u8]>,
) -> Result<u64, Doubt> {
    let agreed = match sender {
        Sender::Client => content_length(first).filter(|_| more.next().is_none()),
        Sender::Server => {
            let mut values = std::iter::once(first)
                .chain(more)
                .flat_map(|value| value.split(|byte| *byte == b','))
                .map(|value| content_length(value.trim_ascii()));
            let agreed = values.next().flatten();
            agreed.filter(|_| values.all(|other| other == agreed))
        }
    };
    agreed.ok_or(Doubt::Length)
}

/// Checks transfer codings that are more than one plain `chunked`. A response may repeat it: to apply it
/// twice is forbidden (RFC 9112 §7.1), so a server that says it twice has applied it once.
fn check_codings(sender: Sender, fields: &Fields<'_, '_>) -> Result<(), Doubt> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut codings = fields.members("transfer-encoding");
    if !codings.by_ref().last().is_some_and(is_chunked) {
        return Err(Doubt::Endless);
    }
    match sender {
        Sender::Server if fields.members("transfer-encoding").all(is_chunked) => Ok(()),
        _ => Err(Doubt::Coding),
    }
}

/// RFC 9110 §7.6.1: a field that Connection nominates is removed from the trailers too. Any of them may be
/// dropped (§6.5.1), so all are where one other than the usual ones is nominated.
fn scanner(sender: Sender, fields: &Fields<'_, '_>) -> Scanner {
    let usual = ["close", "keep-alive", "upgrade", "te"];
    let is_usual = |member: &[u8]| {
        usual
            .iter()
            .any(|option| member.eq_ignore_ascii_case(option.as_bytes()))
    };
    let scanner = match sender {
        Sender::Client => Scanner::default(),
        Sender::Server => Scanner::default().with_padding(),
    };
    if fields.members("connection").all(is_usual) {
        scanner
    } else {
        scanner.without_trailers()
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
mod tests;
