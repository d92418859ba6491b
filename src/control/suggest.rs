//! What to say of a word that is none: which one was probably meant, and what of the sender's text may be
//! repeated.
//!
//! It knows no command; the names to choose from are handed in.

use strsim::osa_distance;

/// The longest piece of a sender's own text that an answer repeats, in characters.
pub(super) const MAX_ECHO: usize = 40;

/// What of a sender's text may be repeated: the beginning, with nothing in it that moves a terminal.
pub(super) fn sanitize_echo(word: &str) -> String {
    let mut begin: String = word
        .chars()
        .take(MAX_ECHO)
        .flat_map(char::escape_debug)
        .collect();
    if word.chars().nth(MAX_ECHO).is_some() {
        begin.push_str("...");
    }
    begin
}

/// The name that was probably meant: one that begins like `word`, or is at most two slips away (a letter too
/// much, too few, another one, or two changed about).
pub(super) fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let longest = names.iter().map(|name| name.len()).max()?;
    if word.is_empty() || word.len() > longest + 2 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    if let Some(name) = names.iter().find(|name| name.starts_with(&word)) {
        return Some(name);
    }
    let slips = |name: &&&str| osa_distance(name, &word);
    let best = names.iter().min_by_key(slips)?;
    // Two slips in a word of two or three letters are another word.
    (slips(&best) <= (best.len() / 2).min(2)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_not_far() {
        let names = ["help", "rep", "add", "rm", "events", "quit"];
        let cases = [
            ("ad", Some("add")),
            ("ev", Some("events")),
            ("REP", Some("rep")),
            ("evnets", Some("events")),
            ("rmm", Some("rm")),
            ("exit", Some("quit")),
            ("xx", None),
            ("json", None),
            ("", None),
            ("addaddaddadd", None),
        ];
        for (word, meant) in cases {
            assert_eq!(nearest(word, &names), meant, "{word}");
        }
        assert_eq!(nearest("rep", &[]), None);
    }

    #[test]
    fn foreign_text_is_repeated_tamely_and_in_part() {
        assert_eq!(sanitize_echo("\u{1b}[2J\0"), r"\u{1b}[2J\0");
        assert_eq!(sanitize_echo(&"x".repeat(MAX_ECHO)), "x".repeat(MAX_ECHO));
        let long = sanitize_echo(&"x".repeat(MAX_ECHO + 1));
        assert_eq!(long, format!("{}...", "x".repeat(MAX_ECHO)));
    }
}
