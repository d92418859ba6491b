//! Which fields of a head are for this hop alone (RFC 9110 §7.6.1), and what they say about it.
//!
//! A `Connection:` nomination never removes Content-Length, Transfer-Encoding or Host: whoever could
//! strip the framing of a message we pass on could smuggle requests.

use crate::wire::head::{Fields, Version};

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

/// The fields that the Connection field nominates for removal.
pub(super) struct Nominated<'h, 'b>(Option<Fields<'h, 'b>>);

impl<'h, 'b> Nominated<'h, 'b> {
    pub(super) fn of(fields: &Fields<'h, 'b>) -> Self {
        Self(fields.get("connection").map(|_| *fields))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let framing = ["content-length", "transfer-encoding", "host"];
        self.0.as_ref().is_some_and(|fields| {
            has_option(fields, name) && !framing.iter().any(|kept| kept.eq_ignore_ascii_case(name))
        })
    }
}

/// Whether a field of a request with this name reaches a replica with the client's value: it is neither
/// for this hop alone nor nominated for removal, and not one that only we may set.
pub(super) fn reaches(name: &str, fields: &Fields<'_, '_>) -> bool {
    !(is_hop_by_hop(name) || Nominated::of(fields).has(name) || is_ours(name))
}

/// Whether the client takes trailer fields (RFC 9110 §10.1.4); transfer codings that it also takes are
/// none that we pass on.
pub(super) fn takes_trailers(fields: &Fields<'_, '_>) -> bool {
    fields
        .members("te")
        .any(|member| member.eq_ignore_ascii_case(b"trailers"))
}

/// RFC 9110 §7.6.1, and RFC 9113 §3.1 for HTTP2-Settings.
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

/// Fields only we may set.
pub(super) fn is_ours(name: &str) -> bool {
    const PREFIX: &str = "ringmaster-";
    name.get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}
