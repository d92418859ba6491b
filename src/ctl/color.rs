//! Colours of answers on a terminal: states and events of the fleet stand out.
//!
//! JSON and pipes have no colours. Neither have outputs where `NO_COLOR` is set and not empty
//! (<https://no-color.org>), nor terminals of the type `dumb`.

use std::ffi::OsString;

/// Bold.
const BOLD: &str = "\u{1b}[1m";
/// Faint.
const DIM: &str = "\u{1b}[2m";
const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const RESET: &str = "\u{1b}[0m";

/// The colouring of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColorMode {
    /// Lines are printed unchanged.
    Plain,
    /// Lines are printed with colours.
    Colored,
}

impl ColorMode {
    /// Returns the mode of an output. `terminal` is `true` for a terminal; `variable` reads the
    /// environment.
    pub(super) fn for_output(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let unwanted = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = variable("TERM").is_none_or(|value| value == "dumb");
        match terminal && !unwanted && !dumb {
            true => Self::Colored,
            false => Self::Plain,
        }
    }

    /// Returns the line with its colours.
    pub(super) fn paint_line(self, line: &str) -> String {
        if self == Self::Plain || line.starts_with(['{', '[']) {
            return line.to_owned();
        }
        if line.starts_with("ERR ") {
            return format!("{RED}{line}{RESET}");
        }
        let mut shown = String::with_capacity(line.len() + 32);
        for piece in line.split_inclusive(' ') {
            let word = piece.trim_end_matches(' ');
            match color_of(word.trim_end_matches(',')) {
                Some(colour) => shown.extend([colour, word, RESET, &piece[word.len()..]]),
                None => shown.push_str(piece),
            }
        }
        shown
    }
}

fn color_of(word: &str) -> Option<&'static str> {
    Some(match word {
        "up" | "joined" | "replaced" | "ok" => GREEN,
        "suspect" | "starting" | "leaving" | "draining" | "withdrawn" | "held" | "evicted" => {
            YELLOW
        }
        "down" | "dead" | "failed" | "ended" => RED,
        "N" | "key" | "ring" | "bound" | "plan" | "moved" => BOLD,
        _ if is_time(word) => DIM,
        _ => return None,
    })
}

/// Returns `true` for the time of an event, such as `2026-11-03T17:43:25.087Z`.
fn is_time(word: &str) -> bool {
    word.len() >= 20 && word.ends_with('Z') && word.as_bytes()[4] == b'-' && word.contains('T')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let fit = |terminal, variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(found, _)| *found == name);
            ColorMode::for_output(terminal, |name| {
                find(name).map(|(_, value)| (*value).into())
            })
        };
        let term = ("TERM", "xterm");
        assert_eq!(fit(true, &[term]), ColorMode::Colored);
        assert_eq!(fit(true, &[term, ("NO_COLOR", "")]), ColorMode::Colored);
        assert_eq!(fit(true, &[term, ("NO_COLOR", "0")]), ColorMode::Plain);
        assert_eq!(fit(false, &[term]), ColorMode::Plain);
        assert_eq!(fit(true, &[("TERM", "dumb")]), ColorMode::Plain);
        assert_eq!(fit(true, &[]), ColorMode::Plain);
    }

    #[test]
    fn words_get_colours_and_keep_their_position() {
        let event = "1970-01-01T00:00:01.500Z seat 2   down      S2         2/3 up";
        let shown = ColorMode::Colored.paint_line(event);
        assert!(shown.starts_with("\u{1b}[2m1970-01-01T00:00:01.500Z\u{1b}[0m seat 2   "));
        assert!(
            shown.contains("\u{1b}[31mdown\u{1b}[0m      S2"),
            "{shown:?}"
        );
        let bare: String = shown
            .split('\u{1b}')
            .map(|piece| match piece.strip_prefix('[') {
                Some(code) => &code[code.find('m').unwrap() + 1..],
                None => piece,
            })
            .collect();
        assert_eq!(bare, event);
        assert_eq!(
            ColorMode::Colored.paint_line("ERR no"),
            "\u{1b}[31mERR no\u{1b}[0m"
        );
    }

    #[test]
    fn lines_without_a_known_word_stay_unchanged() {
        for line in [
            "",
            " ",
            "S1",
            "uptown downs",
            r#"{"health": "up"}"#,
            "[1]",
            "ä ööööööööööööööööööZ",
        ] {
            assert_eq!(ColorMode::Colored.paint_line(line), line);
        }
        assert_eq!(ColorMode::Plain.paint_line("down"), "down");
    }
}
