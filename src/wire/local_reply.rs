//! Locally generated replies: a status, a JSON body with a final line feed, and the matching
//! fields.

use super::date;

/// Locally generated reply, to be serialized.
#[derive(Clone, Copy, Debug)]
pub struct LocalReply<'a> {
    /// HTTP status code.
    pub status: u16,
    /// JSON text without a final line feed.
    pub json: &'a str,
    /// Further field lines, each ending in CR LF; may be empty.
    pub fields: &'a str,
    /// `true` if the connection ends after this reply.
    pub close: bool,
    /// `true` if only the head is sent: the request was HEAD.
    pub head_only: bool,
}

impl LocalReply<'_> {
    /// Serializes the reply.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.json.len());
        let line = format!("HTTP/1.1 {} {}\r\nDate: ", self.status, reason(self.status));
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(&date::now());
        let length = self.json.len() + 1;
        out.extend_from_slice(b"\r\nContent-Type: application/json\r\nContent-Length: ");
        out.extend_from_slice(length.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.fields.as_bytes());
        if self.close {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if !self.head_only {
            out.extend_from_slice(self.json.as_bytes());
            out.push(b'\n');
        }
        out
    }
}

/// Returns the reason phrase of a status that we send (RFC 9110 §15).
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_counts_the_line_feed() {
        let reply = LocalReply {
            status: 503,
            json: "{}",
            fields: "Retry-After: 1\r\n",
            close: true,
            head_only: false,
        };
        let text = String::from_utf8(reply.to_bytes()).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 503 Service Unavailable\r\nDate: "),
            "{text}"
        );
        assert!(
            text.contains(
                "\r\nContent-Length: 3\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{}\n"
            ),
            "{text}"
        );
        let head = LocalReply {
            head_only: true,
            ..reply
        }
        .to_bytes();
        assert!(head.ends_with(b"\r\n\r\n"));
    }
}
