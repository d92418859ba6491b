//! Redraws the answers of `watch` in place, on a terminal: each covers the one before it.
//!
//! The cursor stays visible and rests below the answer between two frames. So nothing has to be
//! restored when Ctrl-C ends the program, the last answer stays on the screen, and the lines above
//! it are kept. Control sequences are those of ECMA-48, which every terminal but `dumb` has.

use std::io::IsTerminal;

use super::color::ColorMode;

/// Erases the rest of the cursor's line.
const ERASE_LINE: &str = "\u{1b}[K";
/// Erases everything from the cursor to the end of the screen.
const ERASE_BELOW: &str = "\u{1b}[J";
/// Moves the cursor to the first cell and erases the screen.
const ERASE_ALL: &str = "\u{1b}[H\u{1b}[2J";

/// Last character of a line that was cut off.
const CUT: char = '>';

/// Size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TerminalSize {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl TerminalSize {
    /// Returns the size of standard output; `None` if it is no terminal or does not know its size.
    pub(super) fn of_stdout() -> Option<Self> {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
        (columns > 1 && rows > 1).then_some(Self { columns, rows })
    }
}

/// The frames of one `watch`.
#[derive(Debug, Default)]
pub(super) struct Redraw {
    /// Size of the terminal at the last frame, and the rows of that frame; `None` before the first.
    last: Option<(TerminalSize, usize)>,
}

impl Redraw {
    /// Returns the redrawing of standard output; `None` where the cursor cannot be moved.
    pub(super) fn for_stdout() -> Option<Self> {
        let moves = std::env::var_os("TERM").is_some_and(|kind| kind != "dumb");
        (std::io::stdout().is_terminal() && moves).then(Self::default)
    }

    /// Returns the text that draws `lines` over the last frame.
    ///
    /// Lines are cut off at the width of the terminal, and the frame at its height: a row that has
    /// scrolled away cannot be reached any more.
    pub(super) fn frame(
        &mut self,
        lines: &[String],
        size: TerminalSize,
        paint: ColorMode,
    ) -> String {
        let mut text = match self.last {
            None => String::new(),
            // A movement by 0 rows would be one by 1.
            Some((last, 0)) if last == size => String::new(),
            Some((last, rows)) if last == size => format!("\u{1b}[{rows}A"),
            // Terminals move the lines in their own ways when their size changes.
            Some(_) => ERASE_ALL.to_owned(),
        };
        // The last row is the cursor's.
        let room = size.rows - 1;
        let (shown, more) = match lines.len() <= room {
            true => (lines.len(), None),
            false => (room - 1, Some(lines.len() - (room - 1))),
        };
        let more = more.map(|more| format!("{more} more lines need a higher terminal"));
        for line in lines[..shown].iter().chain(&more) {
            // Behind a full row the cursor is still on its last cell, which would be erased.
            text += ERASE_LINE;
            text += &paint.paint_line(&cut(line, size.columns));
            text.push('\n');
        }
        text += ERASE_BELOW;
        self.last = Some((size, shown + usize::from(more.is_some())));
        text
    }

    /// Forgets the last frame, because something else was printed below it.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

/// Returns the part of `line` that fits, with a mark at its end if it is not the whole.
fn cut(line: &str, columns: usize) -> String {
    match line.char_indices().nth(columns) {
        None => line.to_owned(),
        Some(_) => line.chars().take(columns - 1).chain([CUT]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: TerminalSize = TerminalSize {
        columns: 20,
        rows: 5,
    };

    /// Rows of a terminal after some text, whose first `lines` rows were there before.
    fn screen(text: &str, lines: &[&str]) -> Vec<String> {
        let mut rows: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        rows.push(String::new());
        let (mut row, mut column) = (rows.len() - 1, 0);
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            rest = &rest[next.len_utf8()..];
            match next {
                '\r' => column = 0,
                '\n' => (row, column) = (row + 1, 0),
                '\u{1b}' => {
                    let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                    match (&rest[1..end], &rest[end..=end]) {
                        (up, "A") => row -= up.parse::<usize>().unwrap().max(1),
                        ("", "K") => rows[row].truncate(column),
                        ("", "J") => {
                            rows.truncate(row + 1);
                            rows[row].truncate(column);
                        }
                        ("", "H") => (row, column) = (0, 0),
                        ("2", "J") => rows = vec![String::new()],
                        (_, "m") => {}
                        other => panic!("{other:?}"),
                    }
                    rest = &rest[end + 1..];
                }
                shown => {
                    let end = (column + 1).min(rows[row].len());
                    rows[row].replace_range(column..end, &shown.to_string());
                    column += 1;
                }
            }
            while rows.len() <= row {
                rows.push(String::new());
            }
        }
        rows
    }

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_frame_covers_the_one_before_and_nothing_else() {
        let mut redraw = Redraw::default();
        let frames: [&[&str]; 5] = [
            &["N 3", "load 10"],
            &["N 2"],
            &["N 30", "a", "b"],
            &[],
            &["N 1"],
        ];
        let mut text = String::new();
        for frame in frames {
            text += &redraw.frame(&lines(frame), WIDE, ColorMode::Colored);
            let shown = [&["$ ctl watch"], frame, &[""]].concat();
            assert_eq!(screen(&text, &["$ ctl watch"]), shown);
        }
    }

    #[test]
    fn a_frame_fits_the_terminal() {
        let mut redraw = Redraw::default();
        let long = lines(&[
            "01234567890123456789",
            "012345678901234567890",
            "",
            "3",
            "4",
        ]);
        let text = redraw.frame(&long, WIDE, ColorMode::Plain);
        let shown = [
            "01234567890123456789",
            "0123456789012345678>",
            "",
            "2 more lines need a>",
            "",
        ];
        assert_eq!(screen(&text, &[]), shown);
        let again = text.clone() + &redraw.frame(&long[..4], WIDE, ColorMode::Plain);
        let shown = ["01234567890123456789", "0123456789012345678>", "", "3", ""];
        assert_eq!(screen(&again, &[]), shown);
    }

    #[test]
    fn another_size_begins_with_an_empty_screen() {
        let mut redraw = Redraw::default();
        let mut text = redraw.frame(&lines(&["one", "two"]), WIDE, ColorMode::Plain);
        let narrow = TerminalSize { columns: 3, ..WIDE };
        text += &redraw.frame(&lines(&["three"]), narrow, ColorMode::Plain);
        assert_eq!(screen(&text, &["before"]), ["th>", ""]);
    }

    #[test]
    fn what_was_printed_below_a_frame_stays() {
        let mut redraw = Redraw::default();
        let mut text = redraw.frame(&lines(&["one"]), WIDE, ColorMode::Plain);
        text += "ERR no\n";
        redraw.forget();
        text += &redraw.frame(&lines(&["two"]), WIDE, ColorMode::Plain);
        assert_eq!(screen(&text, &[]), ["one", "ERR no", "two", ""]);
    }
}
