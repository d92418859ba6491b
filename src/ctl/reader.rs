//! The answers of the text protocol as they come in: lines, the empty line that ends each, and what
//! refuses.
//!
//! It reads and shows nothing. A balancer sends no control characters; whoever else may answer at that
//! address does not get to move a terminal's cursor either.

use std::io::{self, BufRead, ErrorKind, Read as _};

use serde_json::Value;

/// The longest line that is taken, in bytes: far more than a list of all replicas in JSON.
pub(super) const MAX_ANSWER_LINE: u64 = 16 * 1024 * 1024;

/// A part of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AnswerPart {
    /// A line of it.
    Line(String),
    /// The line that says why not.
    Refusal(String),
    /// The same in JSON.
    Failure(String),
    /// Its end.
    End,
}

/// What is read from.
#[derive(Debug)]
pub(super) struct AnswerReader<R> {
    from: R,
    /// Whether nothing has been read yet.
    fresh: bool,
    /// Whether the next line is an answer's first.
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

    /// The next part; `None` when the connection ended after a whole answer, or before the first.
    ///
    /// # Errors
    /// `UnexpectedEof` within an answer; `InvalidData` for what is no answer; what the socket says.
    pub(super) fn next(&mut self) -> io::Result<Option<AnswerPart>> {
        let mut line = Vec::new();
        (&mut self.from)
            .take(MAX_ANSWER_LINE)
            .read_until(b'\n', &mut line)?;
        let fresh = std::mem::replace(&mut self.fresh, false);
        match line.pop() {
            None if self.first => return Ok(None),
            Some(b'\n') => {}
            // After 'prompt' it would take more lines, and none came.
            Some(b' ') if self.first && line == b">" => return Ok(None),
            Some(_) if line.len() as u64 + 1 == MAX_ANSWER_LINE => {
                let sentence = format!("a line is longer than {MAX_ANSWER_LINE} bytes");
                return Err(io::Error::new(ErrorKind::InvalidData, sentence));
            }
            _ => return Err(ErrorKind::UnexpectedEof.into()),
        }
        let line = sanitize_line(&line);
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

fn sanitize_line(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut tamed = String::with_capacity(line.len());
    for c in String::from_utf8_lossy(line).chars() {
        match c.is_control() && c != '\t' {
            true => tamed.extend(c.escape_default()),
            false => tamed.push(c),
        }
    }
    tamed
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
    fn an_answer_is_its_lines_and_its_end() {
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
        let told = String::from_utf8_lossy(failure).into_owned();
        let answer = [&failure[..], b"\n\n"].concat();
        assert_eq!(
            parts(&answer).unwrap(),
            [AnswerPart::Failure(told), AnswerPart::End]
        );
        for fine in [r#"{"status":"successful"}"#, "{", "[]"] {
            let answer = format!("{fine}\n\n");
            assert_eq!(
                parts(answer.as_bytes()).unwrap(),
                [line(fine), AnswerPart::End]
            );
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
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
    fn foreign_bytes_move_no_cursor() {
        let line = AnswerPart::Line("\\u{1b}[2J\t\u{fffd}".to_owned());
        assert_eq!(
            parts(b"\x1b[2J\t\xff\n\n").unwrap(),
            [line, AnswerPart::End]
        );
    }
}
