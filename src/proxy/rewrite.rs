//! What a gateway changes in the heads it passes on (RFC 9110 §7.6, RFC 9112 §9): hop-by-hop fields end
//! here, the trail of proxies is added, and all else goes on byte for byte and in order.
//!
//! A `Connection:` nomination never removes Content-Length, Transfer-Encoding or Host: whoever could
//! strip the framing of a message we pass on could smuggle requests. The framing itself is written anew,
//! one field in canonical form.

mod request;

use std::time::Duration;

use bytes::BytesMut;

use super::head_writer::{push, push_number};
use crate::wire::connection_auth;
use crate::wire::date;
use crate::wire::framing::{self, Body, Framing, FramingField};
use crate::wire::head::{
    self, BadResponse, Field, Fields, RequestHead, ResponseHeaderSlots, Version,
};

pub(super) use request::{RewriteContext, request};

/// Whether the Connection field has this option (lower case).
pub(super) fn has_option(fields: &Fields<'_, '_>, option: &str) -> bool {
    fields
        .members("connection")
        .any(|member| member.eq_ignore_ascii_case(option.as_bytes()))
}

/// Whether the sender keeps the connection after this message (RFC 9112 §9.3).
pub(super) fn keeps_alive(version: Version, fields: &Fields<'_, '_>) -> bool {
    match version {
        Version::Http11 => !has_option(fields, "close"),
        Version::Http10 => has_option(fields, "keep-alive") && !has_option(fields, "close"),
    }
}

/// Whether a request asks for an upgrade that we let pass: any but h2c, which would carry requests past
/// the ring.
pub(super) fn asks_upgrade(head: &RequestHead<'_, '_>) -> bool {
    let mut protocols = head.fields.members("upgrade").peekable();
    head.version == Version::Http11
        && protocols.peek().is_some()
        && has_option(&head.fields, "upgrade")
        && protocols.all(|protocol| !protocol.eq_ignore_ascii_case(b"h2c"))
}

/// How many hops a Max-Forwards field allows (RFC 9110 §7.6.2); a number too large for us counts as the
/// largest. `None` if it is no number.
pub(super) fn max_forwards(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| framing::content_length(value).unwrap_or(u64::MAX))
}

/// What a reply's head says about what comes after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseMeta {
    pub(super) status: u16,
    pub(super) body: Body,
    /// Bytes of the head as it was read.
    pub(super) len: usize,
    /// Whether the replica keeps the connection.
    pub(super) keep_alive: bool,
    /// How long it says that it keeps it.
    pub(super) keep_for: Option<Duration>,
    /// Whether the chunked coding must be removed for this client.
    pub(super) decode: bool,
    /// Whether the server authenticates the client for the connection.
    pub(super) private: bool,
}

/// What of the request decides about the reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestMeta {
    pub(super) to_head: bool,
    pub(super) version: Version,
    pub(super) upgrade: bool,
}

/// Reads a reply's head and writes the one that goes on to the client, but for its end, which
/// [`finish`] writes when it is known whether the connection stays. `None` while it is incomplete.
pub(super) fn rewrite_reply(
    bytes: &[u8],
    asked: RequestMeta,
    via: Option<&str>,
    out: &mut BytesMut,
) -> Result<Option<ResponseMeta>, BadResponse> {
    let mut room = ResponseHeaderSlots::default();
    let Some(head) = head::response(bytes, &mut room)? else {
        return Ok(None);
    };
    let Framing {
        body,
        mut announced,
        reusable,
    } = framing::response_framing(head.status, asked.to_head, head.version, &head.fields)?;
    // RFC 9110 §15.5.22: 426 says which protocol the client must ask for.
    let names_protocol = head.status == 426 && head.fields.get("upgrade").is_some();
    let upgraded = head.status == 101;
    if upgraded && !asked.upgrade {
        return Err(BadResponse("it switches protocols unasked"));
    }
    let decode = matches!(body, Body::Chunked(_)) && asked.version == Version::Http10;
    // RFC 9112 §6.1: no transfer coding to an HTTP/1.0 client, not even in an answer to HEAD.
    if announced == FramingField::Chunked && asked.version == Version::Http10 {
        announced = FramingField::Nothing;
    }
    let nominated = ConnectionTokens::from_fields(&head.fields);
    push(out, &[b"HTTP/1.1 "]);
    push_number(out, head.status);
    push(out, &[b" ", head.reason.as_bytes(), b"\r\n"]);
    for field in head.fields.iter() {
        let drop = match field.name.len() {
            7 if (upgraded || names_protocol) && field.is("upgrade") => false,
            _ => is_hop_by_hop(field.name) || nominated.has(field.name),
        };
        if !(drop || push_framing(&field, Some(&mut announced), out)) {
            push(out, &[field.line]);
        }
    }
    // RFC 9110 §6.6.1: who passes on a message without a date adds the time it was received.
    if head.status >= 200 && head.fields.get("date").is_none() {
        push(out, &[b"Date: ", &date::now(), b"\r\n"]);
    }
    if head.status >= 200 {
        push_via(head.version, via, out);
    }
    if names_protocol {
        push(out, &[b"Connection: upgrade\r\n"]);
    }
    Ok(Some(ResponseMeta {
        status: head.status,
        body,
        len: head.len,
        keep_alive: reusable && keeps_alive(head.version, &head.fields),
        keep_for: keep_alive_timeout(&head.fields),
        decode,
        private: connection_auth::is_in_response(&head.fields),
    }))
}

/// Writes a framing field in canonical form; `false` if `field` is none. Of a reply's fields, which may say
/// it twice or be void, the first that says what is `announced` is written, and the others are dropped.
fn push_framing(
    field: &Field<'_>,
    announced: Option<&mut FramingField>,
    out: &mut BytesMut,
) -> bool {
    let own = match field.name.len() {
        14 if field.is("content-length") => {
            let number = field.value.split(|byte| *byte == b',').next();
            let number = number
                .map(<[u8]>::trim_ascii)
                .and_then(framing::content_length);
            number.map(FramingField::Length)
        }
        17 if field.is("transfer-encoding") => Some(FramingField::Chunked),
        _ => return false,
    };
    if let Some(announced) = announced {
        if own != Some(*announced) {
            return true;
        }
        *announced = FramingField::Nothing;
    }
    push(out, &[field.name.as_bytes(), b": "]);
    match own {
        Some(FramingField::Length(length)) => push_number(out, length),
        _ => push(out, &[b"chunked"]),
    }
    push(out, &[b"\r\n"]);
    true
}

/// Writes the Via field (RFC 9110 §7.6.3) of a message that came in this version, if there is a name for it.
fn push_via(version: Version, name: Option<&str>, out: &mut BytesMut) {
    if let Some(name) = name {
        let received: &[u8] = match version {
            Version::Http10 => b"Via: 1.0 ",
            Version::Http11 => b"Via: 1.1 ",
        };
        push(out, &[received, name.as_bytes(), b"\r\n"]);
    }
}

/// How a reply's head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadEnding {
    /// An interim reply, or one that leaves the connection as HTTP/1.1 has it.
    Plain,
    /// The connection stays, which an HTTP/1.0 client must be told.
    KeepAlive,
    /// The connection ends after this reply.
    Close,
    /// The connection becomes a tunnel.
    Upgrade,
}

/// Writes the end of a reply's head.
pub(super) fn push_head_end(ending: HeadEnding, out: &mut BytesMut) {
    push(
        out,
        &[match ending {
            HeadEnding::Plain => b"\r\n".as_slice(),
            HeadEnding::KeepAlive => b"Connection: keep-alive\r\n\r\n",
            HeadEnding::Close => b"Connection: close\r\n\r\n",
            HeadEnding::Upgrade => b"Connection: upgrade\r\n\r\n",
        }],
    );
}

/// `Keep-Alive: timeout=5` (RFC 2068 §19.7.1.1): seconds.
fn keep_alive_timeout(fields: &Fields<'_, '_>) -> Option<Duration> {
    fields.members("keep-alive").find_map(|member| {
        let seconds = member.strip_prefix(b"timeout=")?;
        framing::content_length(seconds).map(Duration::from_secs)
    })
}

/// The fields that the Connection field nominates for removal.
pub(super) struct ConnectionTokens<'h, 'b>(Option<Fields<'h, 'b>>);

impl<'h, 'b> ConnectionTokens<'h, 'b> {
    pub(super) fn from_fields(fields: &Fields<'h, 'b>) -> Self {
        Self(fields.get("connection").map(|_| *fields))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let framing = ["content-length", "transfer-encoding", "host"];
        self.0.as_ref().is_some_and(|fields| {
            has_option(fields, name) && !framing.iter().any(|kept| kept.eq_ignore_ascii_case(name))
        })
    }
}

/// RFC 9110 §7.6.1, and RFC 9113 §3.1 for HTTP2-Settings.
fn is_hop_by_hop(name: &str) -> bool {
    let same = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 => same("te"),
        7 => same("upgrade"),
        10 => same("connection") || same("keep-alive"),
        14 => same("http2-settings"),
        16 => same("proxy-connection"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
