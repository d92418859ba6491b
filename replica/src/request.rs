//! Request head: bytes in, a request or a refusal out. Pure.
//!
//! Strict where laxness would let two readers of one connection disagree about the end of a request
//! (RFC 9112 §6.3, §11.2): line ends, lengths and codings are exact or the request is refused.

use httparse::{EMPTY_HEADER, Header, Status};

use crate::body::Body;
use crate::refusal::Refusal;

/// Longest head in bytes. A longer head is refused with 431.
pub(crate) const MAX_HEAD: usize = 32 * 1024;
/// Maximum number of header fields in a head. More are refused with 431.
const MAX_FIELDS: usize = 128;

/// Field that names a seat: in a heartbeat that assigns one, and in the reply of a replica that has
/// one. A balancer that reads every head removes a client's field of this name. With `--balance
/// connection` and `source` a client may send it, but only to replicas that have a seat, and these
/// keep theirs.
pub(crate) const SEAT_FIELD: &str = "Ringmaster-Seat";

/// Methods that the replica distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Other,
}

/// Connection field of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// The connection stays open, which is the default.
    Unstated,
    /// The connection stays open, and an HTTP/1.0 client needs the field.
    KeepAlive,
    /// The connection closes.
    Close,
}

/// Parsed request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path of the request target, without scheme, authority and query.
    pub(crate) path: String,
    pub(crate) body: Body,
    /// The client waits for a `100 Continue` before it sends the body.
    pub(crate) awaits_continue: bool,
    pub(crate) persistence: Persistence,
    /// Seat that the field [`SEAT_FIELD`] assigns to a standby.
    pub(crate) seat: Option<u32>,
}

/// Parses the head at the start of `bytes`. Returns the request and the length of the head, or
/// `None` while the head is incomplete.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let len = match head.parse(bytes) {
        Ok(Status::Complete(len)) if len <= MAX_HEAD => len,
        Ok(Status::Partial) if bytes.len() <= MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(too_large()),
        Err(httparse::Error::Version) => return Err(Refusal::bad("not HTTP/1")),
        Err(_) => return Err(Refusal::bad("malformed head")),
    };
    if has_bare_line_feed(&bytes[..len]) {
        return Err(Refusal::bad("a line ends without CR"));
    }
    let old = head.version == Some(0);
    let fields = Fields(head.headers);
    if !old && fields.values("host").count() != 1 {
        return Err(Refusal::bad("not exactly one Host"));
    }
    let request = Request {
        method: match head.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        },
        path: path_of(head.path.unwrap_or_default()).to_owned(),
        body: fields.body(old)?,
        awaits_continue: !old && fields.has_member("expect", "100-continue"),
        persistence: fields.persistence(old),
        seat: fields.seat(),
    };
    Ok(Some((request, len)))
}

/// Returns the refusal of a head that exceeds a limit.
const fn too_large() -> Refusal {
    Refusal {
        status: "431 Request Header Fields Too Large",
        reason: "head too large",
    }
}

/// Returns `true` if a line of `head` ends with LF alone.
fn has_bare_line_feed(head: &[u8]) -> bool {
    let mut previous = b'\r';
    head.iter().any(|&byte| {
        let bare = byte == b'\n' && previous != b'\r';
        previous = byte;
        bare
    })
}

/// Returns the path of a request target: `/a` for `/a?b` and for `http://host/a?b`.
fn path_of(target: &str) -> &str {
    let target = target.split('?').next().unwrap_or_default();
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => match rest.find('/') {
            Some(slash) => &rest[slash..],
            None => "/",
        },
        _ => target,
    }
}

struct Fields<'h, 'b>(&'h [Header<'b>]);

impl<'b> Fields<'_, 'b> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// Returns `true` if a comma-separated field has the member `word`, in any case of letters.
    fn has_member(&self, name: &str, word: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|member| member.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Returns the number of the assigned seat. A balancer never sends 0 or a non-number, so both
    /// are ignored.
    fn seat(&self) -> Option<u32> {
        let seat = decimal(self.values(SEAT_FIELD).next()?)?;
        u32::try_from(seat).ok().filter(|seat| *seat > 0)
    }

    fn persistence(&self, old: bool) -> Persistence {
        if self.has_member("connection", "close") {
            Persistence::Close
        } else if !old {
            Persistence::Unstated
        } else if self.has_member("connection", "keep-alive") {
            Persistence::KeepAlive
        } else {
            Persistence::Close
        }
    }

    /// Returns the body that follows the head, by RFC 9112 §6.3 without its leniencies.
    fn body(&self, old: bool) -> Result<Body, Refusal> {
        let mut codings = self.values("transfer-encoding");
        let mut lengths = self.values("content-length");
        match (codings.next(), lengths.next()) {
            (None, None) => Ok(Body::none()),
            (None, Some(length)) if lengths.next().is_none() => decimal(length)
                .map_or(Err(Refusal::bad("bad Content-Length")), |length| {
                    Ok(Body::of_length(length))
                }),
            (Some(coding), None) if !old && codings.next().is_none() => {
                if coding.eq_ignore_ascii_case(b"chunked") {
                    Ok(Body::chunked())
                } else {
                    Err(Refusal {
                        status: "501 Not Implemented",
                        reason: "transfer coding other than chunked",
                    })
                }
            }
            _ => Err(Refusal::bad("contradictory body length")),
        }
    }
}

/// Parses a number that consists of digits alone. `str::parse` would accept a sign.
fn decimal(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = str::from_utf8(digits).ok().filter(|_| all)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests;
