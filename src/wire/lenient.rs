//! Rewriting of response heads that other proxies accept and the strict parser refuses. The strict
//! parser reads the result: there is one way to parse a head, and the forwarded form is canonical.
//!
//! The following is rewritten:
//!
//! - Blanks before a colon (RFC 9112 §5.1: a proxy MUST remove them).
//! - Folded lines (§5.2: each fold becomes a space).
//! - Lines that end in a bare LF (§2.2).
//! - Controls in a value other than CR and NUL (RFC 9110 §5.5: a space each).
//! - Extra blanks after the version (RFC 9112 §4).
//!
//! A head with more than one reading stays as it is and is refused.

use bytes::BytesMut;

use super::head::is_token;

/// Outcome of [`rewrite_response`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// The head was rewritten; parsing it again may succeed.
    Changed,
    /// The last line is well-formed if a colon follows, so more must be read.
    Incomplete,
    /// Rewriting does not help; the refusal stands.
    Unchanged,
}

/// Rewrites the head of a response at the start of `bytes`, as far as it has arrived. Bytes after
/// the head stay as they are.
pub fn rewrite_response(bytes: &mut BytesMut) -> Rewritten {
    let mut head = LenientHead::default();
    let mut rest = &bytes[..];
    while let Some(len) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..len];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        rest = &rest[len + 1..];
        if head.line(line).is_none() {
            return Rewritten::Unchanged;
        }
        head.text.extend_from_slice(b"\r\n");
        if line.is_empty() {
            return head.replace_head(bytes, rest.len());
        }
    }
    if !rest.is_empty() {
        // An unfinished line.
        let may_continue = head.lines > 0 && is_name_before_blanks(rest);
        if may_continue && head.text[..] == bytes[..bytes.len() - rest.len()] {
            return Rewritten::Incomplete;
        }
        if head.line(rest).is_none() {
            return Rewritten::Unchanged;
        }
    }
    head.replace_head(bytes, 0)
}

/// Head as far as it is rewritten.
#[derive(Default)]
struct LenientHead {
    text: BytesMut,
    lines: usize,
}

impl LenientHead {
    /// Appends a line without its end; `None` if it has no single reading.
    fn line(&mut self, line: &[u8]) -> Option<()> {
        self.lines += 1;
        let is_fold = matches!(line.first(), Some(b' ' | b'\t'));
        match (self.lines, is_fold) {
            (1, _) => self.status_line(line),
            // No field, and no field name, precedes the fold.
            (2, true) => return None,
            (_, true) => self.fold(line)?,
            (_, false) => self.field(line),
        }
        Some(())
    }

    fn status_line(&mut self, line: &[u8]) {
        let (version, rest) = line.split_at(line.len().min(b"HTTP/1.1".len()));
        let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
        self.text.extend_from_slice(version);
        self.text
            .extend_from_slice(&rest[blanks.saturating_sub(1)..]);
    }

    /// Joins a folded line to the one before it.
    fn fold(&mut self, line: &[u8]) -> Option<()> {
        self.text.truncate(self.text.len() - b"\r\n".len());
        let before = self.text.iter().rposition(|byte| *byte == b'\n');
        let before = &self.text[before.map_or(0, |at| at + 1)..];
        before.contains(&b':').then_some(())?;
        self.text.extend_from_slice(b" ");
        self.value(line.get(1..).unwrap_or_default());
        Some(())
    }

    fn field(&mut self, line: &[u8]) {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let trimmed = name.trim_ascii_end();
        let is_name =
            !value.is_empty() && !trimmed.is_empty() && trimmed.iter().all(|b| is_token(*b));
        self.text
            .extend_from_slice(if is_name { trimmed } else { name });
        self.value(value);
    }

    fn value(&mut self, value: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(value);
        for byte in &mut self.text[start..] {
            if matches!(byte, 0x01..=0x1f | 0x7f) && !matches!(byte, b'\t' | b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }

    /// Replaces the head in `bytes`, of which the last `rest` bytes do not belong to it.
    fn replace_head(mut self, bytes: &mut BytesMut, rest: usize) -> Rewritten {
        let len = bytes.len() - rest;
        if self.text[..] == bytes[..len] {
            return Rewritten::Unchanged;
        }
        self.text.extend_from_slice(&bytes[len..]);
        bytes.clear();
        bytes.extend_from_slice(&self.text);
        Rewritten::Changed
    }
}

/// Returns `true` for a field name and blanks, which a colon may follow.
fn is_name_before_blanks(line: &[u8]) -> bool {
    let name = line.trim_ascii_end();
    let blanks = line[name.len()..].iter().all(|b| matches!(b, b' ' | b'\t'));
    !name.is_empty() && name.iter().all(|b| is_token(*b)) && blanks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{self, ResponseHeaderSlots};

    /// Parses strictly after as many rewrites as necessary. Returns the bytes, and the length of
    /// the head.
    fn parse(bytes: &[u8]) -> Result<(BytesMut, Option<usize>), &'static str> {
        let mut bytes = BytesMut::from(bytes);
        for _ in 0..3 {
            let len = match head::response(&bytes, &mut ResponseHeaderSlots::default()) {
                Ok(head) => head.map(|head| head.len),
                Err(bad) => match rewrite_response(&mut bytes) {
                    Rewritten::Changed => continue,
                    Rewritten::Incomplete => None,
                    Rewritten::Unchanged => return Err(bad.0),
                },
            };
            return Ok((bytes, len));
        }
        panic!("rewritten repeatedly: {bytes:?}");
    }

    #[test]
    fn a_head_with_one_reading_becomes_canonical_however_it_is_split() {
        let end = "Content-Length: 2\r\n\r\n";
        for (odd, canonical) in [
            (
                "HTTP/1.1 200 OK\r\nX-Old : v\r\n",
                "HTTP/1.1 200 OK\r\nX-Old: v\r\n",
            ),
            (
                "HTTP/1.1 200 OK\r\nX-Old \t:v \r\n",
                "HTTP/1.1 200 OK\r\nX-Old:v \r\n",
            ),
            (
                "HTTP/1.1 200 OK\r\nX: v\r\n \t w\r\n\t\r\n x\r\n",
                "HTTP/1.1 200 OK\r\nX: v \t w  x\r\n",
            ),
            (
                "HTTP/1.1 200 OK\r\nX:\r\n v\r\n",
                "HTTP/1.1 200 OK\r\nX: v\r\n",
            ),
            (
                "HTTP/1.1 200\nX: v\r\nY: w\n",
                "HTTP/1.1 200\r\nX: v\r\nY: w\r\n",
            ),
            (
                "HTTP/1.1 200 OK\nX : v\n w\n",
                "HTTP/1.1 200 OK\r\nX: v w\r\n",
            ),
            (
                "HTTP/1.1 200 OK\r\nX: \x01v\x7fw\r\n",
                "HTTP/1.1 200 OK\r\nX:  v w\r\n",
            ),
            ("HTTP/1.1   200 OK\r\n", "HTTP/1.1 200 OK\r\n"),
        ] {
            let odd = format!("{odd}{end}ok\n : x\r\n y");
            let canonical = format!("{canonical}{end}");
            for cut in 0..odd.len() {
                let (first, len) = parse(&odd.as_bytes()[..cut]).expect(&odd);
                let first = [&first[..], &odd.as_bytes()[cut..]].concat();
                let (bytes, whole) = parse(&first).expect(&odd);
                let whole = whole.expect("a head");
                assert_eq!(&bytes[..whole], canonical.as_bytes(), "{cut}");
                assert_eq!(&bytes[whole..], b"ok\n : x\r\n y", "{cut}");
                assert!(len.is_none() || len == Some(whole));
            }
        }
    }

    #[test]
    fn a_head_with_several_readings_stays_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\n X: y\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX\r\n : y\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX \r\n: y\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: y\r\n\r\n",
            "HTTP/1.1 200 OK\r\n : y\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX a: y\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX(a) : y\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
            "HTTP/1.1 200 O\x01K\r\n\r\n",
            "HTTP/1.1\t200 OK\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n",
            "\nHTTP/1.1 200 OK\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "\x15\x03\x01\0\x02\x02\x46",
            "garbage ",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
