//! The form of an answer in the text protocol.
//!
//! An answer is lines and one empty line at its end; no other line is empty. Text from elsewhere
//! (names, events, error sentences) is escaped and stays one line, so that it can neither end an
//! answer nor move a terminal's cursor.

use std::io;

use tokio::io::AsyncWriteExt;

use super::connection::Connection;
use super::execute::CommandResult;
use super::limits::ControlLimits;
use crate::orders::{self, OrderError};
use crate::terminal;

/// Writes an error as the whole answer.
///
/// # Errors
/// Errors of the socket.
pub(super) async fn send_error(conn: &mut Connection, sentence: &str) -> io::Result<()> {
    conn.write_all(error(sentence).as_bytes()).await
}

/// Returns an error as the text of an answer.
pub(super) fn error(sentence: &str) -> String {
    render(Err(OrderError::invalid(sentence)), false)
}

/// The sentence for a line with too many bytes.
pub(super) fn too_long(limits: &ControlLimits) -> String {
    format!("line is longer than {} bytes", limits.line)
}

/// Returns the text of an answer, its empty line included.
pub(super) fn render(result: CommandResult, as_json: bool) -> String {
    let mut text = String::new();
    match result {
        Ok(output) if as_json => push_line(&mut text, &output.json()),
        Ok(output) => {
            let lines = output.lines();
            let lines = lines.iter().filter(|line| !line.trim().is_empty());
            lines.for_each(|line| push_line(&mut text, line));
        }
        Err(refusal) if as_json => push_line(&mut text, &orders::failure(&refusal.sentence)),
        Err(refusal) => push_line(&mut text, &format!("ERR {}", refusal.sentence)),
    }
    text.push('\n');
    text
}

/// Adds one line, escaped.
pub(super) fn push_line(text: &mut String, line: &str) {
    text.push_str(&terminal::escape(line));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::execute::CommandOutput;

    fn lines(lines: &[&str]) -> CommandResult {
        Ok(CommandOutput::Report {
            lines: lines.iter().map(ToString::to_string).collect(),
            json: "[]".into(),
        })
    }

    #[test]
    fn an_answer_ends_with_its_only_empty_line() {
        let cases = [
            (lines(&["N 1", "S1"]), "N 1\nS1\n\n"),
            (lines(&[]), "\n"),
            (lines(&["a", "", " ", "b"]), "a\nb\n\n"),
            (
                lines(&["a\n\nb\u{1b}[2J"]),
                "a\\u000a\\u000ab\\u001b[2J\n\n",
            ),
            (Err(OrderError::invalid("no\n")), "ERR no\\u000a\n\n"),
            (
                lines(&["\u{e9}'\"\\ \u{202e}\u{200b}\u{2028}\u{e0041}"]),
                "\u{e9}'\"\\ \\u202e\\u200b\\u2028\\udb40\\udc41\n\n",
            ),
        ];
        for (result, text) in cases {
            assert_eq!(render(result, false), text);
        }
    }

    #[test]
    fn json_is_one_value_on_one_line() {
        assert_eq!(render(lines(&["x"]), true), "[]\n\n");
        assert_eq!(
            render(Err(OrderError::invalid("a \"b\"\n\u{9b}")), true),
            "{\"message\":\"<Error> a \\\"b\\\"\\n\\u009b\",\"status\":\"failure\"}\n\n"
        );
        let ok = "{\"message\":\"ok\",\"status\":\"successful\"}\n\n";
        assert_eq!(render(Ok(CommandOutput::from_word("ok")), true), ok);
    }
}
