//! Which fields may stand in a trailer section (RFC 9110 §6.5.1).
//!
//! A reader may merge trailer fields into those of the head. So what frames, routes, authenticates or
//! steers a message, or says who passed it on, is not let through behind the body.

/// Fields that a head alone may have, in lower case.
const HEAD_ONLY: [&str; 51] = [
    // Framing and routing.
    "content-length",
    "transfer-encoding",
    "host",
    "trailer",
    "max-forwards",
    "expect",
    // For one hop (RFC 9110 §7.6.1).
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "upgrade",
    "http2-settings",
    // Who passed it on, for whom.
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "x-http-method-override",
    // Authentication and state.
    "authorization",
    "proxy-authorization",
    "www-authenticate",
    "proxy-authenticate",
    "cookie",
    "set-cookie",
    "origin",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    // Controls, conditions, and how to read the content.
    "cache-control",
    "pragma",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "range",
    "accept-ranges",
    "content-encoding",
    "content-type",
    "content-range",
    "content-disposition",
    // What steers a reply.
    "age",
    "date",
    "expires",
    "location",
    "retry-after",
    "vary",
    "warning",
    "content-security-policy",
];

/// What only this program may set.
const OURS: &str = "ringmaster-";

/// Whether a trailer field of this name goes on.
pub(super) fn may_pass(name: &[u8]) -> bool {
    let ours = name.get(..OURS.len());
    !ours.is_some_and(|start| start.eq_ignore_ascii_case(OURS.as_bytes()))
        && !HEAD_ONLY
            .iter()
            .any(|field| name.eq_ignore_ascii_case(field.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_nothing_about_the_message_itself_passes() {
        for name in ["X-Sum", "Digest", "grpc-status", "Server-Timing", "ETag"] {
            assert!(may_pass(name.as_bytes()), "{name}");
        }
        for name in ["HOST", "Content-Length", "x-forwarded-FOR", "Ringmaster-X"] {
            assert!(!may_pass(name.as_bytes()), "{name}");
        }
    }
}
