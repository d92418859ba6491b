//! The head of a request for a replica.

use std::net::IpAddr;

use bytes::BytesMut;

use super::fields::{
    ConnectionTokens, has_option, is_hop_by_hop, push, push_framing, push_number, push_via,
};
use crate::proxy::generated_id::GeneratedId;
use crate::wire::framing;
use crate::wire::head::{Field, RequestHead, Version};

/// Inputs of the rewritten head that the received head does not contain.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct RewriteContext<'a> {
    /// Address of the client; `None` for one of a Unix socket.
    pub(in crate::proxy) client: Option<IpAddr>,
    /// Host for a request that names none (HTTP/1.0).
    pub(in crate::proxy) host: &'a str,
    /// Request ID generated here.
    pub(in crate::proxy) generated_id: Option<GeneratedId>,
    /// `true` if the request asks for an upgrade that is relayed.
    pub(in crate::proxy) upgrade: bool,
    /// Name for the Via field (`--via`), if configured.
    pub(in crate::proxy) via: Option<&'a str>,
}

/// Appends the head for the replica.
pub(in crate::proxy) fn rewrite_request(
    head: &RequestHead<'_, '_>,
    context: &RewriteContext<'_>,
    out: &mut BytesMut,
) {
    push(out, &[head.method.as_bytes(), b" ", head.target.path]);
    if let Some(query) = head.target.query {
        push(out, &[b"?", query]);
    }
    push(out, &[b" HTTP/1.1\r\n"]);
    if head.target.authority.is_some() || head.fields.get("host").is_none() {
        let host = head.target.authority.unwrap_or(context.host.as_bytes());
        push(out, &[b"Host: ", host, b"\r\n"]);
    }
    let nominated = ConnectionTokens::from_fields(&head.fields);
    let mut forwarded_for = head.fields.named("x-forwarded-for").rev();
    let last_forwarded_for = forwarded_for
        .next()
        .filter(|_| !nominated.has("x-forwarded-for"));
    for field in head.fields.iter() {
        if is_hop_by_hop(field.name) || nominated.has(field.name) || is_reserved(field.name) {
            continue;
        }
        if field.is("host") && head.target.authority.is_some() {
            continue;
        }
        // The generated ID replaces the received one.
        if field.is("x-request-id") && context.generated_id.is_some() {
            continue;
        }
        // RFC 9110 §10.1.1: an expectation in HTTP/1.0 is ignored.
        if field.is("expect") && head.version == Version::Http10 {
            continue;
        }
        if push_framing(&field, None, out) {
            continue;
        }
        if let Some(client) = context.client
            && last_forwarded_for.is_some_and(|last| std::ptr::eq(last.line, field.line))
        {
            let comma: &[u8] = if field.value.is_empty() { b"" } else { b", " };
            push(out, &[field.name.as_bytes(), b": ", field.value, comma]);
            push_client(out, client);
        } else if field.is("max-forwards") && head.method == "OPTIONS" {
            push_max_forwards(out, &field);
        } else {
            push(out, &[field.line]);
        }
    }
    if let Some(client) = context.client
        && last_forwarded_for.is_none()
    {
        push(out, &[b"X-Forwarded-For: "]);
        push_client(out, client);
    }
    if head.fields.get("x-forwarded-proto").is_none() || nominated.has("x-forwarded-proto") {
        push(out, &[b"X-Forwarded-Proto: http\r\n"]);
    }
    push_via(head.version, context.via, out);
    if let Some(id) = context.generated_id {
        push(out, &[b"X-Request-ID: ", id.as_bytes(), b"\r\n"]);
    }
    push_hop_by_hop(head, context.upgrade, out);
    push(out, &[b"\r\n"]);
}

/// Appends the fields for the next hop: the upgrade, and `TE: trailers` if the client accepts
/// trailers (RFC 9110 §10.1.4). Other codings in TE could not be relayed to the client.
fn push_hop_by_hop(head: &RequestHead<'_, '_>, upgrade: bool, out: &mut BytesMut) {
    let mut codings = head.fields.members("te");
    let trailers = head.version == Version::Http11
        && codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    if trailers {
        push(out, &[b"TE: trailers\r\n"]);
    }
    if upgrade {
        for field in head.fields.named("upgrade") {
            push(out, &[field.line]);
        }
    }
    push(
        out,
        &[match (upgrade, trailers) {
            (true, true) => b"Connection: upgrade, TE\r\n".as_slice(),
            (true, false) => b"Connection: upgrade\r\n",
            (false, true) => b"Connection: TE\r\n",
            (false, false) => b"",
        }],
    );
}

/// Returns `true` for a field that only Ringmaster may set.
fn is_reserved(name: &str) -> bool {
    const PREFIX: &str = "ringmaster-";
    name.get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Appends a Max-Forwards field with one hop less. A zero was answered here, and a value that is
/// not a number is relayed unchanged.
fn push_max_forwards(out: &mut BytesMut, field: &Field<'_>) {
    match max_forwards(field.value) {
        Some(hops) => {
            let left = hops.saturating_sub(1);
            push(out, &[field.name.as_bytes(), b": "]);
            push_number(out, left);
            push(out, &[b"\r\n"]);
        }
        None => push(out, &[field.line]),
    }
}

/// Appends a client's address and the end of its line.
fn push_client(out: &mut BytesMut, client: IpAddr) {
    match client.to_canonical() {
        // Written for every request; the formatter would cost as much as the rest of the head.
        IpAddr::V4(ip) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                push(out, &[if at == 0 { b"" } else { b"." }]);
                push_number(out, octet);
            }
        }
        IpAddr::V6(ip) => push(out, &[ip.to_string().as_bytes()]),
    }
    push(out, &[b"\r\n"]);
}

/// Returns `true` if a request asks for an upgrade that is relayed. Excluded is h2c, which would
/// carry requests past the ring.
pub(in crate::proxy) fn asks_upgrade(head: &RequestHead<'_, '_>) -> bool {
    let mut protocols = head.fields.members("upgrade").peekable();
    head.version == Version::Http11
        && protocols.peek().is_some()
        && has_option(&head.fields, "upgrade")
        && protocols.all(|protocol| !protocol.eq_ignore_ascii_case(b"h2c"))
}

/// Returns the number of hops that a Max-Forwards field allows (RFC 9110 §7.6.2); `None` if it is
/// not a number. A number too large counts as the maximum.
pub(in crate::proxy) fn max_forwards(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| framing::content_length(value).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_formatter_writes_them() {
        let all = [
            "0.0.0.0",
            "127.0.0.1",
            "255.10.200.9",
            "::1",
            "::ffff:10.0.0.7",
            "2001:db8::a",
        ];
        for text in all {
            let ip: IpAddr = text.parse().unwrap();
            let mut out = BytesMut::new();
            push_client(&mut out, ip);
            assert_eq!(out, format!("{}\r\n", ip.to_canonical()));
        }
    }
}
