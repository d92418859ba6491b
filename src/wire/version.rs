//! Version of a message (RFC 9112 §2.3). A higher minor version is treated as the highest supported
//! one; another major version is refused.

/// HTTP version of a message; all others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// Replaces a higher minor version of HTTP/1 in the request line by HTTP/1.1, as RFC 9110 §2.5
/// requires; returns `false` if there is none. For a request that was refused with 505.
#[must_use]
pub fn normalize_request_version(bytes: &mut [u8]) -> bool {
    let start = bytes.len() - bytes.trim_ascii_start().len();
    let line = bytes[start..].iter().position(|byte| *byte == b'\r');
    let Some(line) = line.and_then(|len| bytes.get_mut(start..start + len)) else {
        return false;
    };
    match line {
        [
            ..,
            b' ',
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'1',
            b'.',
            minor @ b'2'..=b'9',
        ] => {
            *minor = b'1';
            true
        }
        _ => false,
    }
}

/// Does the same for a response, before it is parsed.
pub fn normalize_response_version(bytes: &mut [u8]) {
    let is_http1 = bytes.starts_with(b"HTTP/1.") && bytes.get(8) == Some(&b' ');
    if let Some(minor @ b'2'..=b'9') = bytes.get_mut(7).filter(|_| is_http1) {
        *minor = b'1';
    }
}

/// Returns `true` if the first line ends in a well-formed but unsupported version, as `HTTP/2.0`
/// (RFC 9112 §2.3).
pub(super) fn is_other_version(bytes: &[u8]) -> bool {
    let line = bytes
        .trim_ascii_start()
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    let word = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    match word.strip_prefix(b"HTTP/") {
        Some([b'1', b'.', b'0' | b'1']) => false,
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_minor_version_is_treated_as_http_1_1() {
        let mut text = *b"\r\nGET /HTTP/1.9 HTTP/1.2\r\nHost: a\r\n\r\n";
        assert!(is_other_version(&text));
        assert!(normalize_request_version(&mut text));
        assert!(text.starts_with(b"\r\nGET /HTTP/1.9 HTTP/1.1\r\n"));
        assert!(!normalize_request_version(&mut text));
        assert!(!normalize_request_version(
            &mut b"GET / HTTP/2.2\r\n".to_owned()
        ));
        assert!(!normalize_request_version(
            &mut b"GET / HTTP/1.2".to_owned()
        ));
        let mut text = *b"HTTP/1.2 200 OK\r\n\r\n";
        normalize_response_version(&mut text);
        assert!(text.starts_with(b"HTTP/1.1 200"));
    }
}
