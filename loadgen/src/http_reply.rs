//! Parser of HTTP/1.1 replies: takes the bytes received so far, returns a whole reply or
//! "incomplete". Pure.
//!
//! Each call parses from the start. That keeps the parser stateless and is cheap for small replies.

use std::borrow::Cow;

use httparse::{EMPTY_HEADER, Header, Status};

/// Longest reply, head and body, in bytes.
pub(crate) const MAX_REPLY: usize = 1024 * 1024;

const MAX_FIELDS: usize = 64;

/// A complete final reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply<'b> {
    pub(crate) status: u16,
    pub(crate) body: Cow<'b, [u8]>,
    /// `true` if the connection may carry another request.
    pub(crate) reusable: bool,
}

/// Error: the bytes are not an HTTP reply, or the reply is too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<httparse::Error> for Malformed {
    fn from(_: httparse::Error) -> Self {
        Self
    }
}

/// Parses the final reply; `None` while it is incomplete. `ended` means that no more bytes will
/// come, and `is_head` that the request was a HEAD.
pub(crate) fn parse(
    mut bytes: &[u8],
    ended: bool,
    is_head: bool,
) -> Result<Option<Reply<'_>>, Malformed> {
    if bytes.len() > MAX_REPLY {
        return Err(Malformed);
    }
    loop {
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let Status::Complete(len) = head.parse(bytes)? else {
            return Ok(None);
        };
        let status = head.code.ok_or(Malformed)?;
        bytes = &bytes[len..];
        // Interim replies precede the final one. 101 is final, and never requested here (RFC 9110
        // §15.2).
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let fields = Fields(head.headers);
        let persistent = fields.is_persistent(head.version == Some(0));
        let Some((body, used)) = (match is_head {
            // A reply to HEAD has the fields of a body, but no body (RFC 9112 §6.3).
            true => Some((Cow::Borrowed(&[][..]), Some(0))),
            false => fields.body(status, bytes, ended)?,
        }) else {
            return Ok(None);
        };
        return Ok(Some(Reply {
            status,
            body,
            // Surplus bytes would be taken for the next reply.
            reusable: persistent && used == Some(bytes.len()) && status != 101,
        }));
    }
}

/// A body and its length on the wire; `None` if the end of the connection delimits it.
type FramedBody<'b> = (Cow<'b, [u8]>, Option<usize>);

struct Fields<'h, 'b>(&'h [Header<'b>]);

impl Fields<'_, '_> {
    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    fn is_persistent(&self, http_1_0: bool) -> bool {
        let has = |option: &str| {
            self.values("connection")
                .flat_map(|value| value.split(|&byte| byte == b','))
                .any(|member| member.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
        };
        !has("close") && (!http_1_0 || has("keep-alive"))
    }

    /// Delimits the body of a reply (RFC 9112 §6.3).
    fn body<'b>(
        &self,
        status: u16,
        bytes: &'b [u8],
        ended: bool,
    ) -> Result<Option<FramedBody<'b>>, Malformed> {
        if matches!(status, 101 | 204 | 304) {
            return Ok(Some((Cow::Borrowed(&[]), Some(0))));
        }
        let coding = self.values("transfer-encoding").next();
        let mut lengths = self.values("content-length");
        match (coding, lengths.next()) {
            (None, None) => Ok(ended.then_some((Cow::Borrowed(bytes), None))),
            (None, Some(length)) => {
                if lengths.any(|other| other != length) {
                    return Err(Malformed);
                }
                let length = decimal(length).ok_or(Malformed)?;
                let body = bytes.get(..length);
                Ok(body.map(|body| (Cow::Borrowed(body), Some(length))))
            }
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => {
                let whole = dechunk(bytes)?;
                Ok(whole.map(|(body, used)| (Cow::Owned(body), Some(used))))
            }
            _ => Err(Malformed),
        }
    }
}

/// Parses a number of digits only, at most `MAX_REPLY`.
fn decimal(digits: &[u8]) -> Option<usize> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = str::from_utf8(digits).ok().filter(|_| all)?;
    text.parse().ok().filter(|length| *length <= MAX_REPLY)
}

/// Decodes the chunked body (RFC 9112 §7.1) at the start of `bytes`. Returns it with its encoded
/// length.
fn dechunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let (head_len, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(Status::Complete(chunk)) => chunk,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(Malformed),
        };
        at += head_len;
        if size == 0 {
            return Ok(trailers(&bytes[at..])?.map(|len| (body, at + len)));
        }
        let size = usize::try_from(size).ok().filter(|size| *size <= MAX_REPLY);
        let size = size.ok_or(Malformed)?;
        let Some(chunk) = bytes.get(at..at + size + 2) else {
            return Ok(None);
        };
        let data = chunk.strip_suffix(b"\r\n").ok_or(Malformed)?;
        body.extend_from_slice(data);
        at += chunk.len();
    }
}

/// Length of the trailer section, including the empty line that ends it.
fn trailers(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(bytes, &mut fields)? {
        Status::Complete((len, _)) => Ok(Some(len)),
        Status::Partial => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses the reply and asserts that it was incomplete before the last byte.
    fn parse_whole(text: &str) -> Reply<'_> {
        for len in 0..text.len() {
            assert_eq!(
                parse(&text.as_bytes()[..len], false, false),
                Ok(None),
                "{len}"
            );
        }
        parse(text.as_bytes(), false, false)
            .unwrap()
            .expect("whole")
    }

    #[test]
    fn a_length_ends_the_body() {
        let reply = parse_whole("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(
            (reply.status, &*reply.body, reply.reusable),
            (200, &b"abc"[..], true)
        );
    }

    #[test]
    fn chunks_end_the_body() {
        let reply = parse_whole(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\nT: v\r\n\r\n",
        );
        assert_eq!((&*reply.body, reply.reusable), (&b"abc"[..], true));
    }

    #[test]
    fn the_end_of_the_connection_ends_the_body() {
        let text = b"HTTP/1.1 503 No\r\n\r\nabc";
        assert_eq!(parse(text, false, false), Ok(None));
        let reply = parse(text, true, false).unwrap().unwrap();
        assert_eq!(
            (reply.status, &*reply.body, reply.reusable),
            (503, &b"abc"[..], false)
        );
    }

    #[test]
    fn a_reply_to_head_has_no_body() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 56\r\n\r\n";
        assert_eq!(parse(text, false, false), Ok(None));
        let reply = parse(text, false, true).unwrap().unwrap();
        assert_eq!((&*reply.body, reply.reusable), (&b""[..], true));
    }

    #[test]
    fn interim_replies_are_passed_over() {
        let reply = parse_whole("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!((reply.status, reply.reusable), (204, true));
    }

    #[test]
    fn connection_and_framing_decide_about_reuse() {
        let cases = [
            ("1.1 200 OK\r\nConnection: x, Close", "", false),
            ("1.0 200 OK", "", false),
            ("1.0 200 OK\r\nConnection: keep-alive", "", true),
            ("1.1 200 OK", "surplus", false),
        ];
        for (head, rest, reusable) in cases {
            let text = format!("HTTP/{head}\r\nContent-Length: 0\r\n\r\n{rest}");
            let reply = parse(text.as_bytes(), false, false).unwrap().unwrap();
            assert_eq!(reply.reusable, reusable, "{text}");
        }
    }

    #[test]
    fn malformed_replies_are_rejected() {
        assert_eq!(parse(b"nonsense\r\n\r\n", false, false), Err(Malformed));
        for rest in [
            "Content-Length: +1\r\n\r\n",
            "Content-Length: 99999999\r\n\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "Transfer-Encoding: gzip\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\nx\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{rest}");
            assert_eq!(
                parse(text.as_bytes(), false, false),
                Err(Malformed),
                "{text}"
            );
        }
    }
}
