//! What to say of a word that is none: which one was probably meant, and what of the sender's text may be
//! repeated.
//!
//! It knows no command; the names to choose from are handed in.

use std::cmp::min;

/// The longest piece of a sender's own text that an answer repeats, in characters.
pub(super) const MAX_ECHO: usize = 40;

/// What of a sender's text may be repeated: the beginning, with nothing in it that moves a terminal.
pub(super) fn echo(word: &str) -> String {
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

/// The name that was probably meant: one that begins like `word`, or is at most two slips away.
pub(super) fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let longest = names.iter().map(|name| name.len()).max()?;
    if word.len() > longest + 2 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    if let Some(name) = names.iter().find(|name| name.starts_with(&word)) {
        return Some(name);
    }
    let slips = |name: &&&str| distance(name.as_bytes(), word.as_bytes());
    let best = names.iter().min_by_key(slips)?;
    // Two slips in a word of two or three letters are another word.
    (slips(&best) <= min(2, best.len() / 2)).then_some(best)
}

/// The edit distance of Levenshtein: how many letters to insert, drop or replace.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = min(replaced, min(row[j], diagonal) + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_slips() {
        for (a, b, slips) in [
            ("", "", 0),
            ("", "ab", 2),
            ("rep", "rm", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), slips, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), slips, "{b} {a}");
        }
    }
}
