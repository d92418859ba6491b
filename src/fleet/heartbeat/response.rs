//! The answer to a heartbeat: its status, its identity, and whether the connection can be used
//! again.
//!
//! It parses no more of HTTP than that and is liberal about the rest, because any server may
//! answer. An unknown form only costs a new connection for the next heartbeat.

use crate::ring::Seat;
use crate::roster::ReplicaName;

/// Maximum length of a head, in bytes.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// The result of parsing the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ParseResult {
    /// The beginning of a head.
    Partial,
    /// A whole head.
    Whole(ProbeResponse),
    /// No HTTP/1 answer, or too long a head.
    Garbage,
}

/// The identity of a replica, as the bundled one reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct Identity {
    /// The replica's name.
    pub(in crate::fleet) name: ReplicaName,
    /// Its seat; `None` for a standby.
    pub(in crate::fleet) seat: Option<Seat>,
}

impl Identity {
    /// Returns `true` if both may be the same replica. A replica that knows no seat may have been
    /// assigned one.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let seats = self.seat.zip(other.seat);
        self.name == other.name && seats.is_none_or(|(ours, other)| ours == other)
    }
}

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProbeResponse {
    /// The status code.
    pub(super) status: u16,
    /// Length of the head, in bytes.
    pub(super) bytes: usize,
    /// Length of the body in bytes, if the connection can be used again after it.
    pub(super) reusable_after: Option<usize>,
    /// Identity of the replica, if it reports one.
    pub(super) identity: Option<Identity>,
}

/// Parses the head at the start of `bytes`, whose first `seen` bytes are known to hold no whole
/// head.
pub(super) fn parse(bytes: &[u8], seen: usize) -> ParseResult {
    let Some(end) = head_end(bytes, seen) else {
        return if bytes.len() > MAX_HEAD || !may_be_http(bytes) {
            ParseResult::Garbage
        } else {
            ParseResult::Partial
        };
    };
    let mut lines = bytes[..end]
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii);
    let status = lines.next().and_then(status_line);
    let Some((status, persistent)) = status.filter(|_| end <= MAX_HEAD) else {
        return ParseResult::Garbage;
    };
    let mut reusable = persistent;
    let mut length = matches!(status, 100..200 | 204 | 304).then_some(0);
    let (mut name, mut seat) = (None, None);
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (field, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if field.eq_ignore_ascii_case(b"content-length") {
            // No body follows a 204 or 304, whatever its length field says (RFC 9112 §6.3).
            length = length.or_else(|| decimal(value));
        } else if field.eq_ignore_ascii_case(b"connection") {
            let mut tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            reusable &= !tokens.any(|token| token.eq_ignore_ascii_case(b"close"));
        } else if field.eq_ignore_ascii_case(b"transfer-encoding") {
            reusable = false;
        } else if field.eq_ignore_ascii_case(b"ringmaster-replica") {
            name = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok());
        } else if field.eq_ignore_ascii_case(b"ringmaster-seat") {
            seat = decimal(value).and_then(|seat| u32::try_from(seat).ok());
        }
    }
    ParseResult::Whole(ProbeResponse {
        status,
        bytes: end,
        reusable_after: length.filter(|_| reusable),
        identity: name.map(|name| Identity {
            name,
            seat: seat.filter(|seat| *seat > 0).map(Seat),
        }),
    })
}

/// Returns the position behind the empty line. An empty line that begins in the first `seen` bytes
/// ends behind them.
fn head_end(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(b"\n\r".len());
    let mut ends = (from..bytes.len()).filter(|at| bytes[*at] == b'\n');
    ends.find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Returns `true` if these bytes may be the start of an HTTP/1 answer.
fn may_be_http(bytes: &[u8]) -> bool {
    let start = b"HTTP/1.";
    let common = bytes.len().min(start.len());
    bytes[..common] == start[..common]
}

/// Parses the status, and whether connections of this version are persistent.
fn status_line(line: &[u8]) -> Option<(u16, bool)> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (minor, rest) = rest.split_first()?;
    let code = rest.strip_prefix(b" ")?;
    let (code, rest) = code.split_at_checked(3)?;
    let status = decimal(code).and_then(|code| u16::try_from(code).ok())?;
    let delimited = rest.is_empty() || rest.starts_with(b" ");
    (minor.is_ascii_digit() && delimited && status >= 100).then_some((status, *minor != b'0'))
}

/// Parses a decimal number.
fn decimal(digits: &[u8]) -> Option<usize> {
    // Digits only: "+5".parse() is Ok in Rust.
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| all)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> (u16, Option<usize>) {
        match parse(text.as_bytes(), 0) {
            ParseResult::Whole(head) => (head.status, head.reusable_after),
            other => panic!("{other:?}: {text:?}"),
        }
    }

    #[test]
    fn connections_are_reusable_after_a_body_of_known_length() {
        let cases = [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                (200, Some(0)),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length:  12 \r\n\r\nxx",
                (200, Some(12)),
            ),
            ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", (200, Some(0))),
            ("HTTP/1.1 204 No Content\r\n\r\n", (204, Some(0))),
            (
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
                (304, Some(0)),
            ),
            ("HTTP/1.1 503 No\nContent-Length: 1\n\nx", (503, Some(1))),
            ("HTTP/1.1 200 OK\r\n\r\n", (200, None)),
            ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", (200, None)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", (200, None)),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n",
                (200, None),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                (200, None),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(whole(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_bundled_replica_reports_its_identity() {
        let identity =
            |fields: &str| match parse(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes(), 0) {
                ParseResult::Whole(head) => head.identity.map(|identity| {
                    let seat = identity.seat.map(|seat| seat.0);
                    (identity.name.to_string(), seat)
                }),
                other => panic!("{other:?}"),
            };
        let (name, seat) = ("Ringmaster-Replica: S3\r\n", "ringmaster-seat: 3\r\n");
        assert_eq!(
            identity(&format!("{name}{seat}")),
            Some(("S3".to_owned(), Some(3)))
        );
        for standby in [name, "Ringmaster-Replica: S3\r\nRingmaster-Seat: 0\r\n"] {
            assert_eq!(
                identity(standby),
                Some(("S3".to_owned(), None)),
                "{standby}"
            );
        }
        for anonymous in [
            "",
            seat,
            "Ringmaster-Replica: a b\r\nRingmaster-Seat: 3\r\n",
        ] {
            assert_eq!(identity(anonymous), None, "{anonymous}");
        }
    }

    #[test]
    fn every_prefix_of_a_head_is_partial() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        for end in 0..text.len() {
            for seen in 0..=end {
                assert_eq!(parse(&text[..end], seen), ParseResult::Partial, "{end}");
            }
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_the_last_read_stopped() {
        for text in [
            "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\nA: b\n\n",
        ] {
            for seen in 0..text.len() {
                let parsed = parse(format!("{text}body").as_bytes(), seen);
                let ParseResult::Whole(head) = parsed else {
                    panic!("{parsed:?}: {seen}");
                };
                assert_eq!(head.bytes, text.len(), "{seen}");
            }
        }
    }

    #[test]
    fn garbage_is_detected_as_early_as_possible() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
        for text in [
            "SSH-2.0",
            "HTTP/2",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 2000\r\n\r\n",
            "HTTP/1.1 099 Low\r\n\r\n",
            "HTTP/1.1200 OK\r\n\r\n",
            long.as_str(),
        ] {
            assert_eq!(
                parse(text.as_bytes(), 0),
                ParseResult::Garbage,
                "{text:.20}"
            );
        }
    }
}
