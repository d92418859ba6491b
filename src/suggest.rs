//! Suggestions for an unknown command or field.

use strsim::osa_distance;

/// Returns the name that was probably meant: a name that begins with `word`, or is at most two
/// edits away. An edit is a missing, extra or wrong letter, or two swapped letters.
pub(crate) fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let longest = names.iter().map(|name| name.len()).max()?;
    if word.is_empty() || word.len() > longest + 2 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    if let Some(name) = names.iter().find(|name| name.starts_with(&word)) {
        return Some(name);
    }
    let edits = |name: &&&str| osa_distance(name, &word);
    let best = names.iter().min_by_key(edits)?;
    // Two edits turn a word of two or three letters into any other.
    (edits(&best) <= (best.len() / 2).min(2)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_at_most_two_edits_away() {
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
}
