//! The configuration file as it is written: TOML, whose keys are the long names of flags.
//!
//! Only the form is checked here: keys, positions and types. The flags judge the values, see
//! `file_flags`. Every error is a sentence with file, line and column.

use std::iter::repeat_n;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::settings::{Origin, Position, place};
use crate::suggest::nearest;
use crate::terminal;
use crate::whole_file::{self, ReadError};

/// Largest configuration file, in bytes.
pub const MAX_CONFIG_FILE: u64 = 64 * 1024;

/// Permission of users that are neither the owner nor of the group to read a file (inode(7)).
pub(super) const OTHERS_MAY_READ: u32 = 0o004;

/// A value as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileValue {
    /// `true` or `false`.
    Switch(bool),
    /// A string or a number.
    One(String),
    /// A list of them, each with its position.
    List(Vec<(String, Position)>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileEntry {
    pub(super) name: String,
    pub(super) value: FileValue,
    /// Position of the value.
    pub(super) at: Position,
}

impl FileEntry {
    /// Returns the positions of the values of a list, whose elements the parser splits at
    /// `delimiter`; none for a single value.
    pub(super) fn positions(&self, delimiter: Option<char>) -> Vec<Position> {
        let FileValue::List(list) = &self.value else {
            return Vec::new();
        };
        let parts = |text: &str| delimiter.map_or(1, |delimiter| text.split(delimiter).count());
        let positions = list
            .iter()
            .flat_map(|(text, at)| repeat_n(*at, parts(text)));
        positions.collect()
    }
}

/// A configuration file.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) path: Arc<Path>,
    /// Entries in the order of the file.
    pub(super) entries: Vec<FileEntry>,
    /// `true` if every user of the machine may read the file.
    pub(super) is_public: bool,
}

impl ConfigFile {
    /// Reads the file, whose keys must be among `known`.
    ///
    /// # Errors
    /// A sentence: the file cannot be read, is too large, is not TOML, or has an unknown key.
    pub(super) fn read(path: &Path, known: &[&str]) -> Result<Self, String> {
        let shown = path.display();
        let (bytes, meta) = whole_file::read(path, MAX_CONFIG_FILE).map_err(|err| match err {
            ReadError::Io(err) => format!("cannot read {shown}: {err}"),
            // A reload reads the file again.
            ReadError::NotRegular => format!("{shown} is not a regular file"),
            ReadError::TooLong => {
                format!("{shown} is longer than {} KiB", MAX_CONFIG_FILE / 1024)
            }
        })?;
        let is_public = meta.permissions().mode() & OTHERS_MAY_READ != 0;
        Self::parse(path, &bytes, known, is_public)
    }

    /// Parses the content of the file at `path`.
    ///
    /// # Errors
    /// A sentence: it is not TOML, or has an unknown key.
    pub(super) fn parse(
        path: &Path,
        bytes: &[u8],
        known: &[&str],
        is_public: bool,
    ) -> Result<Self, String> {
        Ok(Self {
            entries: parse(path, bytes, known)?,
            path: path.into(),
            is_public,
        })
    }

    /// Returns the entry of this name.
    pub(super) fn entry(&self, name: &str) -> Option<&FileEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Returns the words for the position `at` of a key, for use in a sentence.
    pub(super) fn place(&self, name: &str, at: Position) -> String {
        place(name, &self.path, at)
    }

    /// Returns the source of the values of `entry`.
    pub(super) fn origin(&self, entry: &FileEntry) -> Origin {
        Origin::File(Arc::clone(&self.path), entry.at)
    }
}

/// Parses the content of a file.
///
/// # Errors
/// A sentence.
fn parse(path: &Path, bytes: &[u8], known: &[&str]) -> Result<Vec<FileEntry>, String> {
    let named = path.display();
    let text = std::str::from_utf8(bytes).map_err(|err| {
        let valid = bytes.get(..err.valid_up_to()).unwrap_or_default();
        let at = Position::of_byte(&String::from_utf8_lossy(valid), valid.len());
        format!("{named}, {at}: the file is not UTF-8 text")
    })?;
    let table = DeTable::parse(text).map_err(|err| {
        let at = Position::of_byte(text, err.span().map_or(0, |span| span.start));
        let reason = terminal::escape(&err.message().replace('\n', "; ")).into_owned();
        format!("{named}, {at}: {reason}")
    })?;
    let mut found: Vec<_> = table.get_ref().iter().collect();
    // The map sorts by name; errors and arguments follow the file.
    found.sort_by_key(|(key, _)| key.span().start);
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &str = AsRef::<str>::as_ref(key.get_ref());
        let key_at = Position::of_byte(text, key.span().start);
        let shown = terminal::echo(name);
        if !known.contains(&name) {
            let meant = nearest(name, known).map(|meant| format!("; did you mean {meant}?"));
            let (place, meant) = (place(&shown, path, key_at), meant.unwrap_or_default());
            return Err(format!("{place}, is not a setting{meant}"));
        }
        let at = Position::of_byte(text, value.span().start);
        let value = to_value(text, value.get_ref());
        let value = value.map_err(|why| format!("{}, {why}", place(name, path, at)))?;
        let name = name.to_owned();
        Ok(FileEntry { name, value, at })
    };
    found.into_iter().map(entry).collect()
}

/// Converts a value.
///
/// # Errors
/// The end of a sentence, when its type is none of a setting.
fn to_value(text: &str, value: &DeValue<'_>) -> Result<FileValue, &'static str> {
    Ok(match value {
        DeValue::Boolean(switch) => FileValue::Switch(*switch),
        DeValue::Array(list) => {
            let element = |element: &Spanned<DeValue<'_>>| {
                let at = Position::of_byte(text, element.span().start);
                let value = scalar(element.get_ref()).ok_or("is a list of lists or tables");
                value.map(|value| (value, at))
            };
            FileValue::List(list.iter().map(element).collect::<Result<_, _>>()?)
        }
        DeValue::Table(_) => return Err("is a table, and a setting is a value or a list"),
        DeValue::Datetime(_) => return Err("is a date; a text needs quotes"),
        scalar_value => FileValue::One(scalar(scalar_value).ok_or("is not a value")?),
    })
}

/// Returns the text that the flag would be given; `None` for values of other types.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.clone().into_owned(),
        // A number too large for that is too large for every flag.
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.to_string(), |number| number.to_string()),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(switch) => switch.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KNOWN: [&str; 4] = ["listen", "max-head", "backend", "takeover"];

    fn parsed(text: impl AsRef<[u8]>) -> Result<Vec<FileEntry>, String> {
        parse(Path::new("r.toml"), text.as_ref(), &KNOWN)
    }

    #[test]
    fn entries_keep_the_order_and_the_positions_of_the_file() {
        let text = "# first\nmax-head = \"1KiB\"\nlisten = 0x10\ntakeover = true\n\
                    backend = [\n  \"a=b:1\",\n  2.50, false,\n]\n";
        let at = |line, column| Position { line, column };
        let entry = |name: &str, value, at| FileEntry {
            name: name.to_owned(),
            value,
            at,
        };
        let list = [("a=b:1", at(6, 3)), ("2.50", at(7, 3)), ("false", at(7, 9))];
        let list = list.map(|(text, at)| (text.to_owned(), at)).to_vec();
        let expected = [
            entry("max-head", FileValue::One("1KiB".to_owned()), at(2, 12)),
            entry("listen", FileValue::One("16".to_owned()), at(3, 10)),
            entry("takeover", FileValue::Switch(true), at(4, 12)),
            entry("backend", FileValue::List(list), at(5, 11)),
        ];
        assert_eq!(parsed(text), Ok(expected.to_vec()));
        assert_eq!(parsed(""), Ok(Vec::new()));
    }

    #[test]
    fn a_bad_form_is_an_error_with_its_position() {
        for (text, sentence) in [
            (
                &b"\nmax-hed = 1"[..],
                "max-hed in r.toml, line 2, column 1, is not a setting; did you mean max-head?",
            ),
            (
                b"frobnicate = 1",
                "frobnicate in r.toml, line 1, column 1, is not a setting",
            ),
            (
                b"\"a\\u001bb\" = 1",
                "a\\u001bb in r.toml, line 1, column 1, is not a setting",
            ),
            (
                b"listen = 1\n\nlisten = 2",
                "r.toml, line 3, column 1: duplicate key",
            ),
            (b"listen = ", "r.toml, line 1, column 10: "),
            (b"listen", "r.toml, line 1, column "),
            (
                b"[listen]\n",
                "listen in r.toml, line 1, column 1, is a table",
            ),
            (
                b"listen.a = 1",
                "listen in r.toml, line 1, column 1, is a table",
            ),
            (
                b"listen = 1979-05-27",
                "listen in r.toml, line 1, column 10, is a date",
            ),
            (
                b"backend = [\"a\", [1]]",
                "backend in r.toml, line 1, column 11, is a list of lists",
            ),
            (
                b"# \xc3\xa9\nx\xff",
                "r.toml, line 2, column 2: the file is not UTF-8",
            ),
        ] {
            let err = parsed(text).unwrap_err();
            assert!(err.starts_with(sentence), "{err}");
            assert!(!err.contains(char::is_control), "{err:?}");
        }
    }

    #[test]
    fn a_deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let half = usize::try_from(MAX_CONFIG_FILE).unwrap() / 2;
        for text in ["[", "{a=", "a."] {
            assert!(parsed(format!("listen={}", text.repeat(half))).is_err());
        }
        assert!(parsed(format!("listen{}", ".a".repeat(half))).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parsed(bytes);
        }

        #[test]
        fn no_text_panics(text in "((listen|max-head|backend|x)[ .]?=?[ ]?(\\[|\\]|\"|'|[0-9]{1,3}|true|-|,|\\{|\\}|#|\\u{e9}|\n){0,6}){0,6}") {
            match parsed(&text) {
                Ok(entries) => prop_assert!(entries.len() <= KNOWN.len()),
                Err(sentence) => prop_assert!(sentence.contains("r.toml, line ")),
            }
        }
    }
}
