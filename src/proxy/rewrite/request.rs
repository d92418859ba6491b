//! The head of a request as it goes on to a replica.

use std::net::SocketAddr;

use bytes::BytesMut;

use super::{Nominated, hops, is_hop_by_hop, put_framing, put_via};
use crate::proxy::head_writer::{put, put_client, put_number};
use crate::wire::head::{Field, RequestHead, Version};

/// What a request's head does not say itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Extra<'a> {
    pub(in crate::proxy) client: SocketAddr,
    /// The Host to name when the client named none (HTTP/1.0).
    pub(in crate::proxy) host: &'a str,
    /// The request ID that was drawn here.
    pub(in crate::proxy) drawn: Option<u32>,
    /// Whether the request asks for an upgrade that we let pass.
    pub(in crate::proxy) upgrade: bool,
    /// The name for the Via field (`--via`), if there is one.
    pub(in crate::proxy) via: Option<&'a str>,
}

/// Writes the head that goes on to a replica.
pub(in crate::proxy) fn request(head: &RequestHead<'_, '_>, extra: &Extra<'_>, out: &mut BytesMut) {
    put(out, &[head.method.as_bytes(), b" ", head.target.path]);
    if let Some(query) = head.target.query {
        put(out, &[b"?", query]);
    }
    put(out, &[b" HTTP/1.1\r\n"]);
    if head.target.authority.is_some() || head.fields.get("host").is_none() {
        let host = head.target.authority.unwrap_or(extra.host.as_bytes());
        put(out, &[b"Host: ", host, b"\r\n"]);
    }
    let nominated = Nominated::of(&head.fields);
    let mut trail = head
        .fields
        .iter()
        .rev()
        .filter(|field| field.is("x-forwarded-for"));
    let last_trail = trail.next().filter(|_| !nominated.has("x-forwarded-for"));
    for field in head.fields.iter() {
        if is_hop_by_hop(field.name) || nominated.has(field.name) || is_ours(field.name) {
            continue;
        }
        if field.is("host") && head.target.authority.is_some() {
            continue;
        }
        // The ID that was drawn is the one that counts.
        if field.is("x-request-id") && extra.drawn.is_some() {
            continue;
        }
        // RFC 9110 §10.1.1: an expectation in HTTP/1.0 is ignored.
        if field.is("expect") && head.version == Version::Http10 {
            continue;
        }
        if put_framing(&field, None, out) {
            continue;
        }
        if last_trail.is_some_and(|last| std::ptr::eq(last.line, field.line)) {
            let comma: &[u8] = if field.value.is_empty() { b"" } else { b", " };
            put(out, &[field.name.as_bytes(), b": ", field.value, comma]);
            put_client(out, extra.client);
        } else if field.is("max-forwards") && head.method == "OPTIONS" {
            put_hops(out, &field);
        } else {
            put(out, &[field.line]);
        }
    }
    if last_trail.is_none() {
        put(out, &[b"X-Forwarded-For: "]);
        put_client(out, extra.client);
    }
    if head.fields.get("x-forwarded-proto").is_none() || nominated.has("x-forwarded-proto") {
        put(out, &[b"X-Forwarded-Proto: http\r\n"]);
    }
    put_via(head.version, extra.via, out);
    if let Some(id) = extra.drawn {
        put(out, &[b"X-Request-ID: "]);
        put_number(out, id);
        put(out, &[b"\r\n"]);
    }
    put_hop(head, extra.upgrade, out);
    put(out, &[b"\r\n"]);
}

/// Writes the fields that are for the next hop: an upgrade, and that trailers are welcome to the client
/// (RFC 9110 §10.1.4). Other codings that TE may ask for could not be passed on to it.
fn put_hop(head: &RequestHead<'_, '_>, upgrade: bool, out: &mut BytesMut) {
    let mut codings = head.fields.members("te");
    let trailers = head.version == Version::Http11
        && codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    if trailers {
        put(out, &[b"TE: trailers\r\n"]);
    }
    if upgrade {
        for field in head.fields.iter().filter(|field| field.is("upgrade")) {
            put(out, &[field.line]);
        }
    }
    put(
        out,
        &[match (upgrade, trailers) {
            (true, true) => b"Connection: upgrade, TE\r\n".as_slice(),
            (true, false) => b"Connection: upgrade\r\n",
            (false, true) => b"Connection: TE\r\n",
            (false, false) => b"",
        }],
    );
}

/// Fields only we may set.
fn is_ours(name: &str) -> bool {
    const PREFIX: &str = "ringmaster-";
    name.get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// A Max-Forwards field with one hop less; zero was answered here, and what is no number counts nothing.
fn put_hops(out: &mut BytesMut, field: &Field<'_>) {
    match hops(field.value) {
        Some(hops) => {
            let left = hops.saturating_sub(1);
            put(out, &[field.name.as_bytes(), b": "]);
            put_number(out, left);
            put(out, &[b"\r\n"]);
        }
        None => put(out, &[field.line]),
    }
}
