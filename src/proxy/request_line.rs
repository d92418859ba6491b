//! The request line of a head that was refused, for the access log: good ones are read in `wire/head.rs`.
//!
//! It is lenient, since nothing is chosen by it, and tells no more than the log has of others: no query, and no
//! host, before which there may be a password.

/// Method and path, if the line is here whole: a method, a target and a version. CONNECT has no path.
pub(super) fn parse_refused(inbox: &[u8]) -> Option<(&str, &[u8])> {
    let text = inbox.trim_ascii_start();
    let line = &text[..text.iter().position(|byte| *byte == b'\n')?];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let plain = !method.is_empty() && method.iter().all(u8::is_ascii_graphic);
    if words.next().is_some() || !plain || !version.starts_with(b"HTTP/") {
        return None;
    }
    let path = path(target);
    let is_told = !path.is_empty() || method == b"CONNECT";
    is_told.then_some((std::str::from_utf8(method).ok()?, path))
}

fn path(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let target = &target[..end.unwrap_or(target.len())];
    if matches!(target, [b'/' | b'*', ..]) {
        return target;
    }
    let scheme = target.windows(3).position(|three| three == b"://");
    let rest = &target[scheme.map_or(0, |at| at + 3)..];
    let path = rest.iter().position(|byte| *byte == b'/');
    path.map_or(&[], |at| &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_whole_is_told() {
        let cases: [(&[u8], &str, &[u8]); 6] = [
            (b"GET /a HTTP/2.0\r\n", "GET", b"/a"),
            (b"\r\nPOST /a?token=x HTTP/1.1\nHost", "POST", b"/a"),
            (b"GET /a#b HTTP/1.1\r\n", "GET", b"/a"),
            (b"GET http://u:p@a/x?y HTTP/1.1\r\n", "GET", b"/x"),
            (b"GET /\xff\x1b HTTP/1.1\r\n", "GET", b"/\xff\x1b"),
            (b"CONNECT a.test:443 HTTP/1.1\r\n", "CONNECT", b""),
        ];
        for (bytes, method, path) in cases {
            assert_eq!(
                parse_refused(bytes),
                Some((method, path)),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn one_that_is_not_is_not_guessed_at() {
        let cases: [&[u8]; 8] = [
            b"",
            b"GET /a HTTP/1.1",
            b"GET /a\r\n",
            b"GET  /a HTTP/1.1\r\n",
            b"GET /a b HTTP/1.1\r\n",
            b"\x1b[2J /a HTTP/1.1\r\n",
            b"nonsense\r\n",
            b"GET u:p@a.test HTTP/1.1\r\n",
        ];
        for bytes in cases {
            assert_eq!(parse_refused(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
