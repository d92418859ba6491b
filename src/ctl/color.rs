//! Colours for eyes: the words of the fleet stand out in the lines of an answer, on a terminal.
//!
//! It knows words, not commands; JSON and pipes get none. Whoever sets NO_COLOR, to anything, gets none
//! either (<https://no-color.org>), nor does a terminal that calls itself dumb.

use std::ffi::OsString;

/// Bold.
const BOLD: &str = "\u{1b}[1m";
/// Faint.
const DIM: &str = "\u{1b}[2m";
const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const RESET: &str = "\u{1b}[0m";

/// Whether lines are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColorMode {
    /// As they came.
    Plain,
    /// With colours.
    Colored,
}

impl ColorMode {
    /// What fits an outlet that is a terminal, or none; `variable` looks into the environment.
    pub(super) fn for_output(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let unwanted = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = variable("TERM").is_none_or(|value| value == "dumb");
        match terminal && !unwanted && !dumb {
            true => Self::Colored,
            false => Self::Plain,
        }
    }

    /// The line as it is to be shown.
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
        "suspect" | "starting" | "leaving" | "draining" | "withdrawn" | "held" => YELLOW,
        "down" | "dead" | "failed" | "ended" => RED,
        "N" | "key" | "ring" | "bound" | "plan" | "moved" => BOLD,
        _ if is_time(word) => DIM,
        _ => return None,
    })
}

/// Whether this is a time as events begin with: `2026-11-03T17:43:25.087Z`.
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
    fn words_get_their_colour_and_keep_their_place() {
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
    fn what_has_no_word_of_ours_stays_as_it_is() {
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
