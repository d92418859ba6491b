//! The last words of a replica, as they are quoted when it is told how it ended: a few lines of what it
//! wrote, made one.

/// How many lines are quoted.
const QUOTED_LINES: usize = 3;
/// How many characters are quoted.
const QUOTED_CHARS: usize = 300;

/// The last lines of `words` as one line.
pub(super) fn quote(words: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(words);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.collect();
    let last = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
    let quote: String = last
        .join(" | ")
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    let surplus = quote.chars().count().saturating_sub(QUOTED_CHARS);
    let quote: String = quote.chars().skip(surplus).collect();
    (!quote.is_empty()).then_some(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_short_and_one_line() {
        assert_eq!(quote(b" \n\n"), None);
        let quoted = quote(b"one\ntwo\n\nthree \x1b[1m\nfour\n").unwrap();
        assert_eq!(quoted, "two | three [1m | four");
        assert_eq!(quote(&[b'x'; 1000]).unwrap().len(), QUOTED_CHARS);
    }
}
