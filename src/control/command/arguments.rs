//! The words of a command as values: numbers, names, changes, and anything else that is parsed from
//! text.
//!
//! Pure. Error sentences repeat at most the beginning of a word, escaped for a terminal.

use std::fmt;
use std::str::FromStr;

use crate::orders::{ChangeKind, ChangeRequest};
use crate::terminal;

/// Error in the words after a command's name.
#[derive(Debug)]
pub(in crate::control) enum UsageError {
    /// The words do not fit the command's usage.
    Usage,
    /// The words fit the usage, but a value is wrong; the sentence names it.
    Reason(String),
}

impl From<String> for UsageError {
    fn from(sentence: String) -> Self {
        Self::Reason(sentence)
    }
}

/// Beginning of a shell command.
const COMMAND_MARK: &str = " -- ";

/// Splits a command into words. A shell command behind `--` is one word, as it is.
pub(super) fn split_words(part: &str) -> Vec<&str> {
    let (before, command) = match part.split_once(COMMAND_MARK) {
        Some((before, command)) if takes_command(before) => (before, Some(command.trim())),
        _ => (part, None),
    };
    let words = before.split_ascii_whitespace();
    let command = command.into_iter().flat_map(|command| ["--", command]);
    words.chain(command).collect()
}

/// Returns `true` for the beginning of a command that takes a shell command behind `--`.
fn takes_command(before: &str) -> bool {
    let mut words = before.split_ascii_whitespace();
    let first = words.next();
    first == Some("replace") || first == Some("plan") && words.next() == Some("replace")
}

/// Returns `value` if there are no words.
pub(super) fn no_args<T>(words: &[&str], value: T) -> Result<T, UsageError> {
    words.is_empty().then_some(value).ok_or(UsageError::Usage)
}

/// Parses a whole number. Rust also accepts a leading `+`, which the commands do not.
pub(in crate::control) fn parse_int<T: FromStr>(word: &str) -> Option<T> {
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    word.parse().ok().filter(|_| digits)
}

/// Parses the number of replicas to have.
///
/// # Errors
/// A sentence, when it is not a whole number.
pub(in crate::control) fn parse_count(word: &str) -> Result<usize, String> {
    parse_int(word).ok_or_else(|| "N is not a whole number".to_owned())
}

/// Parses the number of an event.
///
/// # Errors
/// A sentence, when it is not a whole number.
pub(in crate::control) fn event_number(word: &str) -> Result<u64, String> {
    parse_int(word)
        .ok_or_else(|| format!("'{}' is not the number of an event", terminal::echo(word)))
}

/// Parses the number and the names of an `add` or `rm`.
///
/// # Errors
/// A sentence, when the number is not positive, or as [`ChangeKind::parse_change`].
pub(in crate::control) fn parse_change<S: AsRef<str>>(
    kind: ChangeKind,
    n: &str,
    names: &[S],
) -> Result<ChangeRequest, String> {
    let n = parse_int(n).filter(|n| *n > 0);
    let n = n.ok_or("n is not a positive integer")?;
    kind.parse_change(n, names)
        .map_err(|refusal| refusal.sentence)
}

/// Returns `true` for the words of an `rm` that has names and no number.
pub(super) fn is_names(words: &[&str]) -> bool {
    let is_number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    words.first().is_some_and(|word| !is_number(word))
}

/// Parses the names of an `rm` without a number.
///
/// # Errors
/// A sentence, as [`ChangeKind::parse_change`].
pub(in crate::control) fn parse_names(names: &[&str]) -> Result<ChangeRequest, String> {
    let change = ChangeKind::Rm.parse_change(names.len(), names);
    change.map_err(|refusal| terminal::escape(&refusal.sentence).into_owned())
}

/// Parses a value of any type.
///
/// # Errors
/// The sentence of the type, escaped for a terminal because it may quote `word`.
pub(in crate::control) fn parse_value<T: FromStr<Err: fmt::Display>>(
    word: &str,
) -> Result<T, String> {
    word.parse()
        .map_err(|err: T::Err| terminal::escape(&err.to_string()).into_owned())
}
