//! How a replica ended, and its last words: the last lines of what it wrote, kept short, since anybody's
//! server may have written anything.

use std::fmt;

/// How many lines are kept.
const KEPT_LINES: usize = 10;
/// How many characters are kept of a line.
const LINE_CHARS: usize = 300;
/// How many lines are quoted.
const QUOTED_LINES: usize = 3;
/// How many characters are quoted.
const QUOTED_CHARS: usize = 300;

/// How a replica ended. Displayed, it is one phrase that quotes the last words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::fleet) struct ExitReport {
    /// In a phrase, with the exit code.
    pub(in crate::fleet) reason: String,
    /// The last lines it wrote, the newest last; none is empty.
    pub(in crate::fleet) last_lines: Vec<String>,
}

impl ExitReport {
    /// An end after which these bytes were the last that were written.
    pub(super) fn with_output(reason: String, words: &[u8]) -> Self {
        let text = String::from_utf8_lossy(words);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<&str> = lines.collect();
        let last = &lines[lines.len().saturating_sub(KEPT_LINES)..];
        let said = last.iter().map(|line| sanitize_tail(line, LINE_CHARS));
        Self {
            reason,
            last_lines: said.filter(|line| !line.is_empty()).collect(),
        }
    }
}

impl From<String> for ExitReport {
    fn from(how: String) -> Self {
        let said = Vec::new();
        Self {
            reason: how,
            last_lines: said,
        }
    }
}

impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reason: how,
            last_lines: said,
        } = self;
        let last = &said[said.len().saturating_sub(QUOTED_LINES)..];
        match sanitize_tail(&last.join(" | "), QUOTED_CHARS).as_str() {
            "" => f.write_str(how),
            quote => write!(f, "{how}; it said: {quote}"),
        }
    }
}

/// The last characters of a line, without those that move a cursor.
fn sanitize_tail(line: &str, most: usize) -> String {
    let visible = || line.chars().filter(|c| !c.is_control());
    let surplus = visible().count().saturating_sub(most);
    visible().skip(surplus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(words: &[u8]) -> ExitReport {
        ExitReport::with_output("ended".to_owned(), words)
    }

    #[test]
    fn last_words_are_quoted_short_and_in_one_line() {
        assert_eq!(ending(b" \n\n\x1b\n"), ExitReport::from("ended".to_owned()));
        let quoted = ending(b"one\ntwo\n\nthree \x1b[1m\nfour\n");
        assert_eq!(quoted.last_lines, ["one", "two", "three [1m", "four"]);
        let phrase = "ended; it said: two | three [1m | four";
        assert_eq!(quoted.to_string(), phrase);
        let long = ending(&[b'x'; 1000]);
        assert_eq!(long.last_lines[0].len(), LINE_CHARS);
        let phrase = long.to_string();
        assert_eq!(phrase.len(), "ended; it said: ".len() + QUOTED_CHARS);
    }

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let words: String = (0..=KEPT_LINES).map(|n| format!("line {n}\n")).collect();
        let said = ending(words.as_bytes()).last_lines;
        assert_eq!((said.len(), said[0].as_str()), (KEPT_LINES, "line 1"));
    }
}
