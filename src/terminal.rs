//! Text from elsewhere, made safe to show on a terminal.
//!
//! Pure. The one form for everything that repeats text of a client, a replica or a remote balancer:
//! control characters move the cursor, direction marks reverse a line (Unicode TR9), and invisible
//! characters hide differences, so each of them is written as a visible escape.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns `text` with every invisible character written as `\uXXXX`, in UTF-16 units as JSON does.
///
/// A JSON text stays the same value, because invisible characters occur only within its strings.
/// Escaped text stays as it is when it is escaped again.
#[must_use]
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_visible(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing into a String cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped.into()
}

/// Longest part of a client's own text that an answer repeats, in characters.
pub(crate) const MAX_ECHO: usize = 40;

/// Returns the beginning of a client's text, escaped.
pub(crate) fn echo(text: &str) -> String {
    match text.char_indices().nth(MAX_ECHO) {
        Some((end, _)) => format!("{}...", escape(&text[..end])),
        None => escape(text).into_owned(),
    }
}

/// Returns `true` for a character that shows as itself: the standard library escapes all others,
/// and quotes.
fn is_visible(c: char) -> bool {
    match c.is_ascii() {
        true => !c.is_ascii_control(),
        false => c.escape_debug().len() == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_ECHO, echo, escape};

    #[test]
    fn a_clients_text_is_repeated_escaped_and_in_part() {
        assert_eq!(echo("\u{1b}[2J\0"), r"\u001b[2J\u0000");
        assert_eq!(echo(&"x".repeat(MAX_ECHO)), "x".repeat(MAX_ECHO));
        let long = echo(&"x".repeat(MAX_ECHO + 1));
        assert_eq!(long, format!("{}...", "x".repeat(MAX_ECHO)));
    }

    #[test]
    fn invisible_characters_are_escaped() {
        for (text, shown) in [
            ("", ""),
            ("S1 'a' \"b\" \\ \u{e9}", "S1 'a' \"b\" \\ \u{e9}"),
            (
                "\u{1b}[2J\0\t\n\u{7f}",
                r"\u001b[2J\u0000\u0009\u000a\u007f",
            ),
            (
                "\u{202e}\u{200b}\u{2028}\u{9b}",
                r"\u202e\u200b\u2028\u009b",
            ),
            ("\u{e0041}", r"\udb40\udc41"),
        ] {
            assert_eq!(escape(text), shown);
            assert_eq!(escape(&escape(text)), shown, "escaped twice");
        }
    }
}
