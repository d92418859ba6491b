//! The head of a reply for the client.

use std::time::Duration;

use bytes::BytesMut;

use super::fields::{
    ConnectionTokens, is_hop_by_hop, keeps_alive, push, push_framing, push_number, push_via,
};
use crate::wire::connection_auth;
use crate::wire::date;
use crate::wire::framing::{self, Body, Framing, FramingField};
use crate::wire::head::{self, BadResponse, Fields, ResponseHeaderSlots, Version};

/// Properties of a reply that its head announces.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct ResponseMeta {
    pub(in crate::proxy) status: u16,
    pub(in crate::proxy) body: Body,
    /// Bytes of the received head.
    pub(in crate::proxy) len: usize,
    /// `true` if the replica keeps the connection open.
    pub(in crate::proxy) keep_alive: bool,
    /// Time for which the replica announces to keep it.
    pub(in crate::proxy) keep_for: Option<Duration>,
    /// `true` if the chunked coding must be removed for this client.
    pub(in crate::proxy) decode: bool,
    /// `true` if the server authenticates the client for the connection.
    pub(in crate::proxy) private: bool,
}

/// Properties of the request that its reply depends on.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct RequestMeta {
    pub(in crate::proxy) to_head: bool,
    pub(in crate::proxy) version: Version,
    pub(in crate::proxy) upgrade: bool,
}

/// Reads a reply's head and appends the one for the client without its end. [`push_head_end`]
/// appends the end once the connection's next use is known. `None` while the head is incomplete.
pub(in crate::proxy) fn rewrite_reply(
    bytes: &[u8],
    request: RequestMeta,
    via: Option<&str>,
    out: &mut BytesMut,
) -> Result<Option<ResponseMeta>, BadResponse> {
    let mut slots = ResponseHeaderSlots::default();
    let Some(head) = head::response(bytes, &mut slots)? else {
        return Ok(None);
    };
    let Framing {
        body,
        mut announced,
        reusable,
    } = framing::response_framing(head.status, request.to_head, head.version, &head.fields)?;
    // RFC 9110 §15.5.22: 426 names the protocol that the client must ask for.
    let names_protocol = head.status == 426 && head.fields.get("upgrade").is_some();
    let upgraded = head.status == 101;
    if upgraded && !request.upgrade {
        return Err(BadResponse("it switches protocols unasked"));
    }
    let decode = matches!(body, Body::Chunked(_)) && request.version == Version::Http10;
    // RFC 9112 §6.1: no transfer coding to an HTTP/1.0 client, not even in a reply to HEAD.
    if announced == FramingField::Chunked && request.version == Version::Http10 {
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
    // RFC 9110 §6.6.1: a recipient with a clock adds the time of receipt to a message without a
    // date.
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

/// End of a reply's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum HeadEnding {
    /// An interim reply, or a reply after which the connection has the HTTP/1.1 default.
    Plain,
    /// The connection stays open, which an HTTP/1.0 client must be told.
    KeepAlive,
    /// The connection closes after this reply.
    Close,
    /// The connection becomes a tunnel.
    Upgrade,
}

/// Appends the end of a reply's head.
pub(in crate::proxy) fn push_head_end(ending: HeadEnding, out: &mut BytesMut) {
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

/// Returns the timeout of `Keep-Alive: timeout=5` (RFC 2068 §19.7.1.1), in seconds.
fn keep_alive_timeout(fields: &Fields<'_, '_>) -> Option<Duration> {
    fields.members("keep-alive").find_map(|member| {
        let seconds = member.strip_prefix(b"timeout=")?;
        framing::content_length(seconds).map(Duration::from_secs)
    })
}
