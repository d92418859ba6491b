//! A setting of the program, and the source of its value.
//!
//! Plain data for everything that reports settings. A secret never leaves its setting: `Debug` and
//! [`Setting::shown`] mask it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Text in place of a secret.
const MASK: &str = "set";

/// Position in a text, both from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Number of the line.
    pub line: usize,
    /// Number of the character in the line.
    pub column: usize,
}

impl Position {
    /// Returns the position of the byte `offset` in `text`, or that of the end of the text.
    #[must_use]
    pub fn of_byte(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

/// For use in a sentence.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Source of a value. A later variant wins over an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Default of the program.
    Default,
    /// The configuration file.
    File(Arc<Path>, Position),
    /// This environment variable.
    Variable(String),
    /// The command line.
    Flag,
}

/// A setting of the program.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// Long name of the flag, without dashes.
    pub name: String,
    /// Source of the value.
    pub origin: Origin,
    /// `true` if the setting is a list, which may be empty.
    pub is_list: bool,
    values: Vec<String>,
    /// Positions of the values of a list in the configuration file, if it is from there.
    positions: Vec<Position>,
    /// Value that counts, where it is another one.
    effective: Option<String>,
    is_secret: bool,
}

impl Setting {
    /// Returns a setting without a value.
    #[must_use]
    pub fn new(name: impl Into<String>, origin: Origin) -> Self {
        Self {
            name: name.into(),
            origin,
            is_list: false,
            values: Vec::new(),
            positions: Vec::new(),
            effective: None,
            is_secret: false,
        }
    }

    /// Sets the values; more than one makes sense for a list alone.
    #[must_use]
    pub fn with_values(mut self, values: Vec<String>) -> Self {
        self.values = values;
        self
    }

    /// Sets the positions of the values in the configuration file.
    #[must_use]
    pub fn with_positions(mut self, positions: Vec<Position>) -> Self {
        self.positions = positions;
        self
    }

    /// Makes it a list, if it is one.
    #[must_use]
    pub fn with_list(mut self, is_list: bool) -> Self {
        self.is_list = is_list;
        self
    }

    /// Makes it a secret, if it is one.
    #[must_use]
    pub fn with_secret(mut self, is_secret: bool) -> Self {
        self.is_secret = is_secret;
        self
    }

    /// Returns `true` for a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// Returns the values that count, as they may be shown: a secret is `set`.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let configured = || self.configured();
        self.effective
            .clone()
            .map_or_else(configured, |it| vec![it])
    }

    /// Returns the values as they were configured, if others count.
    #[must_use]
    pub fn replaced(&self) -> Option<Vec<String>> {
        let effective = self.effective.as_ref();
        effective.map(|_| self.configured())
    }

    /// Returns the values as they were configured, as they may be shown.
    #[must_use]
    pub fn configured(&self) -> Vec<String> {
        match self.is_secret && !self.values.is_empty() {
            true => vec![MASK.to_owned()],
            false => self.values.clone(),
        }
    }

    /// Sets the value that counts, whatever was configured.
    fn set_effective(&mut self, value: String) {
        self.effective = (self.values != [value.as_str()]).then_some(value);
    }

    /// Returns `true` if both have the same configured values, whatever their sources.
    #[must_use]
    pub fn has_values_of(&self, other: &Self) -> bool {
        self.values == other.values
    }

    /// Returns the place of the value in the configuration file, if it is from there, in the form
    /// `max-head in /etc/ringmaster.toml, line 7, column 12`.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        match &self.origin {
            Origin::File(path, at) => Some(place(&self.name, path, *at)),
            Origin::Default | Origin::Variable(_) | Origin::Flag => None,
        }
    }

    /// Returns the place of the value that `sentence` names, if the setting is from the
    /// configuration file: of a list, the place of its last such value.
    fn place_in(&self, sentence: &str) -> Option<String> {
        let Origin::File(path, whole) = &self.origin else {
            return None;
        };
        let values = self.values.iter().zip(&self.positions);
        // A short value, as `weight=2`, may be that of another element.
        let quoted = values
            .clone()
            .filter(|(value, _)| sentence.contains(*value));
        let quoted = quoted.max_by_key(|(value, _)| value.len());
        let named = quoted.or_else(|| values.rev().find(|(value, _)| names(sentence, value)));
        let at = named.map_or(*whole, |(_, at)| *at);
        Some(place(&self.name, path, at))
    }
}

/// Returns `true` if the sentence has the name before the `=` of the value as a word.
fn names(sentence: &str, value: &str) -> bool {
    let name = value.split('=').next().unwrap_or(value);
    sentence.split([' ', ':']).any(|word| word == name)
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("name", &self.name)
            .field("values", &self.shown())
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Returns the words for a place of a configuration file, for use in a sentence.
#[must_use]
pub fn place(name: &str, path: &Path, at: Position) -> String {
    format!("{name} in {}, {at}", path.display())
}

/// All settings of the program, in the order of the flags.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The settings.
    pub all: Vec<Setting>,
    /// Configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// Sentences about values that are valid and doubtful.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Returns the setting of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.all.iter().find(|setting| setting.name == name)
    }

    /// Sets the value that counts for the setting of this name.
    pub fn set_effective(&mut self, name: &str, value: impl fmt::Display) {
        if let Some(setting) = self.all.iter_mut().find(|setting| setting.name == name) {
            setting.set_effective(value.to_string());
        }
    }

    /// Sets the value that counts for the setting of this name, if it has none.
    pub fn set_default(&mut self, name: &str, value: impl fmt::Display) {
        let configured = self.get(name).map(Setting::configured);
        if configured.is_some_and(|values| values.is_empty()) {
            self.set_effective(name, value);
        }
    }

    /// Returns the sentence with the source of each value in the place of its flag. A place in the
    /// configuration file is long, so a sentence that says more than `(--flag)` has it at its end.
    #[must_use]
    pub fn name_in(&self, sentence: &str) -> String {
        let (mut named, mut places) = (sentence.to_owned(), String::new());
        for setting in &self.all {
            let flag = format!("--{}", setting.name);
            if let Origin::Variable(variable) = &setting.origin {
                named = replace_word(&named, &flag, variable);
            } else if let Some(place) = setting.place_in(sentence) {
                named = named.replace(&format!("({flag})"), &format!("({place})"));
                let short = replace_word(&named, &flag, &setting.name);
                if short != named {
                    places += &format!(" ({place})");
                    named = short;
                }
            }
        }
        named + &places
    }
}

/// Replaces `flag` where it is a whole word.
fn replace_word(sentence: &str, flag: &str, name: &str) -> String {
    let mut replaced = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once(flag) {
        let goes_on = after.starts_with(|next: char| next == '-' || next.is_ascii_alphanumeric());
        replaced += before;
        replaced += if goes_on { flag } else { name };
        rest = after;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let variable = |name: &str| Origin::Variable(name.to_owned());
        let at = Position {
            line: 7,
            column: 12,
        };
        let file = || Origin::File(Path::new("/etc/r.toml").into(), at);
        Settings {
            all: vec![
                Setting::new("replica", variable("R")),
                Setting::new("listen", variable("RINGMASTER_LISTEN")),
                Setting::new("max-head", file()),
                Setting::new("control-host", Origin::Flag),
                Setting::new("control", file()),
            ],
            ..Settings::default()
        }
    }

    #[test]
    fn the_source_takes_the_place_of_its_flag_and_of_no_longer_one() {
        for (sentence, named) in [
            (
                "port 5 is taken (--listen)",
                "port 5 is taken (RINGMASTER_LISTEN)",
            ),
            (
                "port 5 is taken (--control)",
                "port 5 is taken (control in /etc/r.toml, line 7, column 12)",
            ),
            (
                "--listen 1 and --control 1 are one",
                "RINGMASTER_LISTEN 1 and control 1 are one \
                 (control in /etc/r.toml, line 7, column 12)",
            ),
            (
                "--replicas 3, --replica-port, --replica, --control-host",
                "--replicas 3, --replica-port, R, --control-host",
            ),
            ("", ""),
        ] {
            assert_eq!(settings().name_in(sentence), named);
        }
    }

    #[test]
    fn the_value_that_counts_hides_another_one_only() {
        let mut settings = settings();
        let at = settings.all.len() - 1;
        settings.all[at] = settings.all[at].clone().with_values(vec!["a".to_owned()]);
        let seen = |settings: &Settings| {
            let setting = settings.get("control").unwrap();
            (setting.shown(), setting.replaced())
        };
        settings.set_effective("control", "a");
        assert_eq!(seen(&settings), (vec!["a".to_owned()], None));
        settings.set_effective("control", 7);
        let (a, seven) = (vec!["a".to_owned()], vec!["7".to_owned()]);
        assert_eq!(seen(&settings), (seven, Some(a)));
    }

    #[test]
    fn a_position_counts_lines_and_characters_from_1() {
        let text = "a\n\u{e9}\u{e9} = 1\n";
        for (offset, line, column) in [(0, 1, 1), (1, 1, 2), (2, 2, 1), (6, 2, 3), (99, 3, 1)] {
            assert_eq!(
                Position::of_byte(text, offset),
                Position { line, column },
                "{offset}"
            );
        }
    }

    #[test]
    fn a_secret_is_compared_and_never_shown() {
        let token = |value: &str| {
            let values = vec![value.to_owned()];
            let setting = Setting::new("control-token", Origin::Flag).with_values(values);
            setting.with_secret(true)
        };
        let (one, other) = (token("hunter2"), token("hunter3"));
        assert!(!one.has_values_of(&other));
        assert!(one.has_values_of(&token("hunter2")));
        assert_eq!(one.shown(), ["set"]);
        assert!(!format!("{one:?}").contains("hunter"), "{one:?}");
        let unset = Setting::new("control-token", Origin::Default).with_secret(true);
        assert_eq!(unset.shown(), [""; 0]);
    }
}
