//! The exit report of a replica: its exit status and the last lines of its output.
//!
//! The output is kept short and without control characters, because the server may be anybody's and
//! may have written anything.

use std::fmt;

/// Number of output lines that are kept.
const KEPT_LINES: usize = 10;
/// Number of characters that are kept of a line.
const LINE_CHARS: usize = 300;
/// Number of lines that are quoted in a phrase.
const QUOTED_LINES: usize = 3;
/// Number of characters that are quoted in a phrase.
const QUOTED_CHARS: usize = 300;

/// The end of a replica. Displayed, it is one phrase that quotes the last output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::fleet) struct ExitReport {
    /// The exit status, in a phrase.
    pub(in crate::fleet) reason: String,
    /// The last lines of output, the newest last; none is empty.
    pub(in crate::fleet) last_lines: Vec<String>,
}

impl ExitReport {
    /// Creates a report with the last bytes of output.
    pub(super) fn with_output(reason: String, output: &[u8]) -> Self {
        let text = String::from_utf8_lossy(output);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<&str> = lines.collect();
        let last = &lines[lines.len().saturating_sub(KEPT_LINES)..];
        let last = last.iter().map(|line| sanitize_tail(line, LINE_CHARS));
        Self {
            reason,
            last_lines: last.filter(|line| !line.is_empty()).collect(),
        }
    }
}

impl From<String> for ExitReport {
    fn from(reason: String) -> Self {
        Self {
            reason,
            last_lines: Vec::new(),
        }
    }
}

impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, last_lines } = self;
        let quoted = &last_lines[last_lines.len().saturating_sub(QUOTED_LINES)..];
        match sanitize_tail(&quoted.join(" | "), QUOTED_CHARS).as_str() {
            "" => f.write_str(reason),
            quote => write!(f, "{reason}; last output: {quote}"),
        }
    }
}

/// Returns the last `limit` characters of a line, without control characters: they could move a
/// terminal's cursor.
fn sanitize_tail(line: &str, limit: usize) -> String {
    let visible = || line.chars().filter(|c| !c.is_control());
    let surplus = visible().count().saturating_sub(limit);
    visible().skip(surplus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(output: &[u8]) -> ExitReport {
        ExitReport::with_output("ended".to_owned(), output)
    }

    #[test]
    fn last_output_is_quoted_short_and_in_one_line() {
        assert_eq!(report(b" \n\n\x1b\n"), ExitReport::from("ended".to_owned()));
        let quoted = report(b"one\ntwo\n\nthree \x1b[1m\nfour\n");
        assert_eq!(quoted.last_lines, ["one", "two", "three [1m", "four"]);
        let phrase = "ended; last output: two | three [1m | four";
        assert_eq!(quoted.to_string(), phrase);
        let long = report(&[b'x'; 1000]);
        assert_eq!(long.last_lines[0].len(), LINE_CHARS);
        let phrase = long.to_string();
        assert_eq!(phrase.len(), "ended; last output: ".len() + QUOTED_CHARS);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let output: String = (0..=KEPT_LINES).map(|n| format!("line {n}\n")).collect();
        let lines = report(output.as_bytes()).last_lines;
        assert_eq!((lines.len(), lines[0].as_str()), (KEPT_LINES, "line 1"));
    }
}
