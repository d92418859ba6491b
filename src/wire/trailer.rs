//! Fields that are allowed in a trailer section (RFC 9110 §6.5.1).
//!
//! A recipient may merge trailer fields into the header. Fields that frame, route, authenticate or
//! control a message, or name its forwarders, are therefore dropped after the body.

/// Fields that are allowed in a header only, in lower case.
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
    // Forwarders and original client.
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
    // Controls, conditions, and the format of the content.
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
    // Control of a response.
    "age",
    "date",
    "expires",
    "location",
    "retry-after",
    "vary",
    "warning",
    "content-security-policy",
];

/// Prefix of fields that only this program may set.
const OWN_PREFIX: &str = "ringmaster-";

/// Returns `true` if a trailer field of this name is forwarded.
pub(super) fn may_pass(name: &[u8]) -> bool {
    let prefix = name.get(..OWN_PREFIX.len());
    !prefix.is_some_and(|start| start.eq_ignore_ascii_case(OWN_PREFIX.as_bytes()))
        && !HEAD_ONLY
            .iter()
            .any(|field| name.eq_ignore_ascii_case(field.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_without_effect_on_the_message_pass() {
        for name in ["X-Sum", "Digest", "grpc-status", "Server-Timing", "ETag"] {
            assert!(may_pass(name.as_bytes()), "{name}");
        }
        for name in ["HOST", "Content-Length", "x-forwarded-FOR", "Ringmaster-X"] {
            assert!(!may_pass(name.as_bytes()), "{name}");
        }
    }
}
