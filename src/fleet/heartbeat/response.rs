//! The answer to a heartbeat: its status, and whether the connection can be used again.
//!
//! It understands no more of HTTP than that and is liberal about the rest, for the server may be
//! anybody's; what it does not understand only costs a new connection for the next heartbeat.

use crate::ring::Seat;
use crate::roster::ReplicaName;

/// The longest head that is read, in bytes.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ParseResult {
    /// The beginning of a head.
    Partial,
    /// A whole head.
    Whole(ProbeResponse),
    /// No HTTP/1 answer, or too long a head.
    Garbage,
}

/// Who answers, as the bundled replica says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct Identity {
    /// The replica's name.
    pub(in crate::fleet) name: ReplicaName,
    /// Its seat; a standby has none.
    pub(in crate::fleet) seat: Option<Seat>,
}

impl Identity {
    /// Whether these may be one and the same. Who does not know its seat may have been given one.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let seats = self.seat.zip(other.seat);
        self.name == other.name && seats.is_none_or(|(one, other)| one == other)
    }
}

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProbeResponse {
    /// The status code.
    pub(super) status: u16,
    /// How many bytes the head has.
    pub(super) bytes: usize,
    /// How many bytes of body follow, if the connection can be used again after them.
    pub(super) reusable_after: Option<usize>,
    /// Who answers, if it says so.
    pub(super) identity: Option<Identity>,
}

/// Reads the head at the start of `bytes`, of which the first `seen` were found to hold no whole one.
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

/// Returns the position behind the empty line. One that begins in the first `seen` bytes ends behind them.
fn head_end(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(b"\n\r".len());
    let mut ends = (from..bytes.len()).filter(|at| bytes[*at] == b'\n');
    ends.find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn may_be_http(bytes: &[u8]) -> bool {
    let start = b"HTTP/1.";
    let common = bytes.len().min(start.len());
    bytes[..common] == start[..common]
}

/// The status, and whether the version is one of persistent connections.
fn status_line(line: &[u8]) -> Option<(u16, bool)> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (minor, rest) = rest.split_first()?;
    let code = rest.strip_prefix(b" ")?;
    let (code, rest) = code.split_at_checked(3)?;
    let status = decimal(code).and_then(|code| u16::try_from(code).ok())?;
    let delimited = rest.is_empty() || rest.starts_with(b" ");
    (minor.is_ascii_digit() && delimited && status >= 100).then_some((status, *minor != b'0'))
}

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
    fn what_can_be_reused() {
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
    fn the_bundled_replica_says_who_it_is() {
        let identity =
            |fields: &str| match parse(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes(), 0) {
                ParseResult::Whole(head) => head.identity.map(|who| {
                    let seat = who.seat.map(|seat| seat.0);
                    (who.name.to_string(), seat)
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
        for nobody in [
            "",
            seat,
            "Ringmaster-Replica: a b\r\nRingmaster-Seat: 3\r\n",
        ] {
            assert_eq!(identity(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn every_prefix_is_partial() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        for end in 0..text.len() {
            for seen in 0..=end {
                assert_eq!(parse(&text[..end], seen), ParseResult::Partial, "{end}");
            }
        }
    }

    #[test]
    fn an_end_is_found_wherever_the_last_read_stopped() {
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
    fn garbage_is_seen_as_soon_as_it_is_certain() {
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
