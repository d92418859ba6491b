//! Request targets (RFC 9112 §3.2) and the Host field (§3.2, RFC 9110 §7.2), checked before they
//! are used for a decision.
//!
//! CONNECT and TRACE are refused here: this is a gateway, not a tunnel to any host, and TRACE would
//! show a browser fields that it must not see.

use std::net::Ipv6Addr;

use super::head::{Fields, RequestError};
use super::version::Version;

/// Target of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTarget<'b> {
    /// Host (and port) of an absolute-form target; it replaces the Host field (RFC 9112 §3.2.2).
    pub authority: Option<&'b [u8]>,
    /// Path, beginning with `/`, or `*`.
    pub path: &'b [u8],
    /// Text after the first `?`.
    pub query: Option<&'b [u8]>,
}

impl<'b> RequestTarget<'b> {
    fn new(authority: Option<&'b [u8]>, path_and_query: &'b [u8]) -> Self {
        let mut parts = path_and_query.splitn(2, |byte| *byte == b'?');
        let path = parts.next().unwrap_or_default();
        Self {
            authority,
            path,
            query: parts.next(),
        }
    }
}

/// Parses the target of a request with this method.
pub(super) fn parse<'b>(method: &str, raw: &'b [u8]) -> Result<RequestTarget<'b>, RequestError> {
    if method == "CONNECT" || method == "TRACE" {
        return Err(RequestError {
            status: 501,
            why: "methods CONNECT and TRACE are not supported",
        });
    }
    if raw.contains(&b'#') {
        return Err(RequestError::bad("request target has a fragment"));
    }
    match raw {
        [b'/', ..] => Ok(RequestTarget::new(None, raw)),
        b"*" if method == "OPTIONS" => Ok(RequestTarget::new(None, raw)),
        _ => absolute(method, raw),
    }
}

fn absolute<'b>(method: &str, raw: &'b [u8]) -> Result<RequestTarget<'b>, RequestError> {
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        raw.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    });
    let Some(scheme) = scheme else {
        return Err(RequestError::bad(
            "request target is neither a path nor an http URL",
        ));
    };
    let rest = &raw[scheme.len()..];
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty() || !is_host(authority) {
        return Err(RequestError::bad("request target has no valid host"));
    }
    Ok(match path {
        // RFC 9112 §3.2.4: OPTIONS of a whole server.
        b"" if method == "OPTIONS" => RequestTarget::new(Some(authority), b"*"),
        b"" => RequestTarget::new(Some(authority), b"/"),
        // RFC 9112 §3.2.1: an empty path is sent as "/"; the query keeps its place.
        [b'?', query @ ..] => RequestTarget {
            authority: Some(authority),
            path: b"/",
            query: Some(query),
        },
        _ => RequestTarget::new(Some(authority), path),
    })
}

/// Checks the Host field. RFC 9112 §3.2: exactly one valid Host in HTTP/1.1, at most one in
/// HTTP/1.0.
pub(super) fn check_host(fields: &Fields<'_, '_>, version: Version) -> Result<(), RequestError> {
    let mut hosts = fields.named("host");
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(RequestError::bad("more than one Host field")),
        (None, None) if version == Version::Http11 => {
            Err(RequestError::bad("Host field is missing"))
        }
        (Some(host), None) if !is_host(host.value) => {
            Err(RequestError::bad("Host field is malformed"))
        }
        _ => Ok(()),
    }
}

/// Matches `uri-host [":" port]` (RFC 3986 §3.2.2), or an empty text.
fn is_host(text: &[u8]) -> bool {
    if text.is_empty() {
        return true;
    }
    let (host, port) = if text[0] == b'[' {
        let Some(end) = text.iter().position(|byte| *byte == b']') else {
            return false;
        };
        if !is_ip_literal(&text[1..end]) {
            return false;
        }
        (&text[..=end], &text[end + 1..])
    } else {
        text.split_at(
            text.iter()
                .position(|byte| *byte == b':')
                .unwrap_or(text.len()),
        )
    };
    let named = host.first() == Some(&b'[') || is_reg_name(host);
    named
        && matches!(port, [] | [b':', ..])
        && port.iter().skip(1).all(u8::is_ascii_digit)
        && port.len() <= 6
}

/// Matches the text between brackets (RFC 3986 §3.2.2): an IPv6 address, or one of a future
/// version.
fn is_ip_literal(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let Some(future) = text.strip_prefix(['v', 'V']) else {
        return text.parse::<Ipv6Addr>().is_ok();
    };
    future.split_once('.').is_some_and(|(version, address)| {
        let hex = |byte: u8| byte.is_ascii_hexdigit();
        let legal = |byte: u8| byte == b':' || is_host_char(byte);
        let is_complete = !version.is_empty() && !address.is_empty();
        is_complete && version.bytes().all(hex) && address.bytes().all(legal)
    })
}

/// Matches unreserved / pct-encoded / sub-delims (RFC 3986 §3.2.2), not empty.
fn is_reg_name(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b'%');
    let first = parts.next().unwrap_or_default();
    let encoded = |part: &[u8]| {
        matches!(part, [a, b, rest @ ..]
            if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() && rest.iter().copied().all(is_host_char))
    };
    !text.is_empty() && first.iter().copied().all(is_host_char) && parts.all(encoded)
}

/// Matches unreserved / sub-delims without the comma, which only ever separates two hosts.
fn is_host_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_parsed_in_every_form() {
        let origin = parse("GET", b"/a?b?c").unwrap();
        assert_eq!((origin.path, origin.query), (&b"/a"[..], Some(&b"b?c"[..])));
        let absolute = parse("GET", b"HTTP://b.test:80/x?y").unwrap();
        assert_eq!(absolute.authority, Some(&b"b.test:80"[..]));
        assert_eq!(
            (absolute.path, absolute.query),
            (&b"/x"[..], Some(&b"y"[..]))
        );
        assert_eq!(parse("GET", b"http://b.test?q").unwrap().path, b"/");
        assert_eq!(parse("OPTIONS", b"http://b.test").unwrap().path, b"*");
        assert_eq!(parse("OPTIONS", b"*").unwrap().path, b"*");
    }

    #[test]
    fn bad_targets_are_refused() {
        for (method, raw, status) in [
            ("GET", "a.test:80", 400),
            ("GET", "*", 400),
            ("GET", "/a#b", 400),
            ("GET", "ftp://a/x", 400),
            ("GET", "http:///x", 400),
            ("GET", "http://u@a/x", 400),
            ("CONNECT", "a.test:443", 501),
            ("TRACE", "/x", 501),
        ] {
            let refused = parse(method, raw.as_bytes()).unwrap_err();
            assert_eq!(refused.status, status, "{method} {raw}");
        }
    }

    #[test]
    fn hosts_are_checked() {
        for good in [
            "",
            "a",
            "a.test:80",
            "127.0.0.1:5000",
            "[::1]",
            "[::1]:80",
            "a_b:",
            "a%2Db",
            "[::ffff:1.2.3.4]",
            "[v1.a:b]",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a, b",
            "u@a",
            "a/evil",
            "a:8x",
            "[::1",
            "[]",
            "[::1]x",
            ":80",
            "a b",
            "a:123456",
            "a:80:80",
            "a%zz",
            "a%2",
            "%",
            "[:::1]",
            "[1.2.3.4]",
            "[12345::]",
            "[fe80::1%25e]",
            "[v.a]",
            "[v1.]",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
