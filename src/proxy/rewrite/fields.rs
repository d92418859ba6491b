//! Header fields that are treated alike in both directions, and the appending of bytes and numbers.
//!
//! Every request passes here twice. The formatter of the standard library is avoided: for a number
//! it would cost more than the rest of a head.

use bytes::BytesMut;

use crate::wire::framing::{self, FramingField};
use crate::wire::head::{Field, Fields, Version};

/// Appends a number in decimal digits.
pub(super) fn push_number(out: &mut BytesMut, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends these parts in order.
pub(super) fn push(out: &mut BytesMut, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Returns `true` if the Connection field has this option (lower case).
pub(super) fn has_option(fields: &Fields<'_, '_>, option: &str) -> bool {
    fields
        .members("connection")
        .any(|member| member.eq_ignore_ascii_case(option.as_bytes()))
}

/// Returns `true` if the sender keeps the connection open after this message (RFC 9112 §9.3).
pub(in crate::proxy) fn keeps_alive(version: Version, fields: &Fields<'_, '_>) -> bool {
    match version {
        Version::Http11 => !has_option(fields, "close"),
        Version::Http10 => has_option(fields, "keep-alive") && !has_option(fields, "close"),
    }
}

/// Appends a framing field in canonical form. Returns `false` if `field` is none.
///
/// Of a reply's fields, which may be repeated or void, the first that matches `announced` is
/// written and the others are dropped. `None` for a request, whose fields were parsed strictly.
pub(super) fn push_framing(
    field: &Field<'_>,
    announced: Option<&mut FramingField>,
    out: &mut BytesMut,
) -> bool {
    let is_length = match field.name.len() {
        14 if field.is("content-length") => true,
        17 if field.is("transfer-encoding") => false,
        _ => return false,
    };
    if let Some(announced) = announced {
        // A length that was announced is that of all such fields (RFC 9110 §8.6).
        match *announced {
            FramingField::Length(_) if is_length => {}
            FramingField::Chunked if !is_length => {}
            _ => return true,
        }
        *announced = FramingField::Nothing;
    }
    if is_length && is_canonical_length(field) {
        push(out, &[field.line]);
        return true;
    }
    let first = field.value.split(|byte| *byte == b',').next();
    let length = first
        .map(<[u8]>::trim_ascii)
        .and_then(framing::content_length);
    push(out, &[field.name.as_bytes(), b": "]);
    match length.filter(|_| is_length) {
        Some(length) => push_number(out, length),
        None => push(out, &[b"chunked"]),
    }
    push(out, &[b"\r\n"]);
    true
}

/// Returns `true` if the line of a length is `NAME: DIGITS` without padding.
fn is_canonical_length(field: &Field<'_>) -> bool {
    let is_one_number = match field.value {
        [first, rest @ ..] => {
            (*first != b'0' || rest.is_empty()) && field.value.iter().all(u8::is_ascii_digit)
        }
        [] => false,
    };
    // One blank behind the colon, and CR LF.
    let unpadded = field.name.len() + 2 + field.value.len() + 2;
    is_one_number && field.line.len() == unpadded && field.line[field.name.len() + 1] == b' '
}

/// Appends the Via field (RFC 9110 §7.6.3) of a message received in this version, if a name is
/// configured.
pub(super) fn push_via(version: Version, name: Option<&str>, out: &mut BytesMut) {
    if let Some(name) = name {
        let received: &[u8] = match version {
            Version::Http10 => b"Via: 1.0 ",
            Version::Http11 => b"Via: 1.1 ",
        };
        push(out, &[received, name.as_bytes(), b"\r\n"]);
    }
}

/// Fields that the Connection field nominates for removal.
pub(in crate::proxy) struct ConnectionTokens<'h, 'b>(Option<Fields<'h, 'b>>);

impl<'h, 'b> ConnectionTokens<'h, 'b> {
    pub(in crate::proxy) fn from_fields(fields: &Fields<'h, 'b>) -> Self {
        Self(fields.get("connection").map(|_| *fields))
    }

    pub(in crate::proxy) fn has(&self, name: &str) -> bool {
        let framing = ["content-length", "transfer-encoding", "host"];
        self.0.as_ref().is_some_and(|fields| {
            has_option(fields, name) && !framing.iter().any(|kept| kept.eq_ignore_ascii_case(name))
        })
    }
}

/// Returns `true` for a hop-by-hop field (RFC 9110 §7.6.1, and RFC 9113 §3.1 for HTTP2-Settings).
pub(super) fn is_hop_by_hop(name: &str) -> bool {
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
