//! The reader of the text protocol's answers: lines, refusals, and the empty line that ends each
//! answer.
//!
//! Lines are escaped for a terminal. A balancer escapes its answers itself, but the address may
//! belong to another program.

use std::io::{self, BufRead, ErrorKind, Read as _};

use serde_json::Value;

use crate::terminal;

/// Longest line that is read, in bytes: far more than a list of all replicas in JSON.
pub(super) const MAX_ANSWER_LINE: u64 = 16 * 1024 * 1024;

/// A part of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AnswerPart {
    /// A line.
    Line(String),
    /// The line of a refusal.
    Refusal(String),
    /// A refusal in JSON.
    Failure(String),
    /// The end of the answer.
    End,
}

/// Reads answers from a connection.
#[derive(Debug)]
pub(super) struct AnswerReader<R> {
    from: R,
    /// `true` before the first line.
    fresh: bool,
    /// `true` if the next line is the first of an answer.
    first: bool,
}

impl<R: BufRead> AnswerReader<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            fresh: true,
            first: true,
        }
    }

    /// Returns the next part. `None` when the connection ended after a complete answer, or before
    /// the first.
    ///
    /// # Errors
    /// `UnexpectedEof` when the connection ends within an answer, `InvalidData` for another
    /// protocol or too long a line, otherwise errors of the socket.
    pub(super) fn next(&mut self) -> io::Result<Option<AnswerPart>> {
        let mut line = Vec::new();
        (&mut self.from)
            .take(MAX_ANSWER_LINE)
            .read_until(b'\n', &mut line)?;
        let fresh = std::mem::replace(&mut self.fresh, false);
        match line.pop() {
            None if self.first => return Ok(None),
            Some(b'\n') => {}
            // The prompt that follows 'prompt'; the balancer closes the connection after it.
            Some(b' ') if self.first && line == b">" => return Ok(None),
            Some(_) if line.len() as u64 + 1 == MAX_ANSWER_LINE => {
                let sentence = format!("a line is longer than {MAX_ANSWER_LINE} bytes");
                return Err(io::Error::new(ErrorKind::InvalidData, sentence));
            }
            _ => return Err(ErrorKind::UnexpectedEof.into()),
        }
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let line = terminal::escape(&String::from_utf8_lossy(line)).into_owned();
        if fresh && line.starts_with("HTTP/") {
            let sentence = "it answers in HTTP: is this the data port?";
            return Err(io::Error::new(ErrorKind::InvalidData, sentence));
        }
        if line.is_empty() {
            self.first = true;
            return Ok(Some(AnswerPart::End));
        }
        let first = std::mem::replace(&mut self.first, false);
        Ok(Some(match first {
            true if line.starts_with("ERR ") => AnswerPart::Refusal(line),
            true if is_failure(&line) => AnswerPart::Failure(line),
            _ => AnswerPart::Line(line),
        }))
    }
}

fn is_failure(line: &str) -> bool {
    let value = match line.starts_with('{') {
        true => serde_json::from_str::<Value>(line).ok(),
        false => None,
    };
    value.is_some_and(|value| value["status"] == "failure")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &[u8]) -> io::Result<Vec<AnswerPart>> {
        let mut answers = AnswerReader::new(text);
        let mut parts = Vec::new();
        while let Some(part) = answers.next()? {
            parts.push(part);
        }
        Ok(parts)
    }

    #[test]
    fn an_answer_is_lines_and_an_end() {
        let line = |text: &str| AnswerPart::Line(text.to_owned());
        let refusal = |text: &str| AnswerPart::Refusal(text.to_owned());
        assert_eq!(
            parts(b"N 1\nERR is no name\n\nERR no\n\n").unwrap(),
            [
                line("N 1"),
                line("ERR is no name"),
                AnswerPart::End,
                refusal("ERR no"),
                AnswerPart::End
            ]
        );
        assert_eq!(parts(b"\r\n").unwrap(), [AnswerPart::End]);
        assert_eq!(parts(b"ok\n\n> ").unwrap(), [line("ok"), AnswerPart::End]);
        let failure = br#"{"message":"<Error> no","status":"failure"}"#;
        let text = String::from_utf8_lossy(failure).into_owned();
        let answer = [&failure[..], b"\n\n"].concat();
        assert_eq!(
            parts(&answer).unwrap(),
            [AnswerPart::Failure(text), AnswerPart::End]
        );
        for success in [r#"{"status":"successful"}"#, "{", "[]"] {
            let answer = format!("{success}\n\n");
            assert_eq!(
                parts(answer.as_bytes()).unwrap(),
                [line(success), AnswerPart::End]
            );
        }
    }

    #[test]
    fn an_incomplete_answer_or_another_protocol_is_an_error() {
        let kind = |text: &[u8]| parts(text).map_err(|err| err.kind());
        assert_eq!(kind(b""), Ok(vec![]));
        assert_eq!(kind(b"N 1"), Err(ErrorKind::UnexpectedEof));
        assert_eq!(kind(b"N 1\n"), Err(ErrorKind::UnexpectedEof));
        assert_eq!(
            kind(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            Err(ErrorKind::InvalidData)
        );
    }

    #[test]
    fn a_line_has_a_limit() {
        let longest = usize::try_from(MAX_ANSWER_LINE).unwrap() - 1;
        let mut text = vec![b'x'; longest];
        text.extend(b"\n\n");
        assert_eq!(parts(&text).unwrap().len(), 2);
        text.insert(0, b'x');
        assert_eq!(parts(&text).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn control_characters_are_escaped() {
        let line = AnswerPart::Line("\\u001b[2J\\u0009\u{fffd}".to_owned());
        assert_eq!(
            parts(b"\x1b[2J\t\xff\n\n").unwrap(),
            [line, AnswerPart::End]
        );
    }
}
