//! The entries of a configuration file as arguments, so that the parser of the flags judges them.
//!
//! All entries are judged, also those that a flag or a variable overrides. The arguments exist in
//! memory alone: a token in the file never becomes an argument of a process.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};

use super::file::{ConfigFile, FileEntry, FileValue};
use super::parser_error::{flag_in, hide_secret};
use crate::settings::Position;
use crate::terminal;

/// Flags of a subcommand that a file cannot set: the flag of the file itself.
const NOT_IN_FILE: &str = "config";

/// Returns the flags that are settings: those with a variable, except for the file itself.
pub(super) fn setting_flags(subcommand: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let flags = subcommand.get_arguments().filter_map(|arg| {
        let is_setting = arg.get_env().is_some();
        Some((arg.get_long().filter(|_| is_setting)?, arg))
    });
    flags.filter(|(name, _)| *name != NOT_IN_FILE)
}

/// Returns the entry as arguments of a command line: none for a switch that is off and for an empty
/// list.
///
/// # Errors
/// A sentence, when the type of the value is not that of the flag.
pub(super) fn arguments(
    file: &ConfigFile,
    entry: &FileEntry,
    arg: &Arg,
) -> Result<Vec<OsString>, String> {
    let name = &entry.name;
    let fail = |why: &str| Err(format!("{}, {why}", file.place(name, entry.at)));
    let given = |value: &str| OsString::from(format!("--{name}={value}"));
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    match &entry.value {
        FileValue::Switch(true) if is_switch => Ok(vec![format!("--{name}").into()]),
        FileValue::Switch(false) if is_switch => Ok(Vec::new()),
        _ if is_switch => fail("is neither true nor false"),
        FileValue::Switch(value) => Ok(vec![given(&value.to_string())]),
        FileValue::One(value) => Ok(vec![given(value)]),
        FileValue::List(_) if !matches!(arg.get_action(), ArgAction::Append) => {
            fail("is a list, and the setting has one value")
        }
        FileValue::List(values) => Ok(values.iter().map(|(value, _)| given(value)).collect()),
    }
}

/// Judges all entries by the parser of the flags, without the command line and the environment.
///
/// # Errors
/// A sentence that names the entry and its position.
pub(super) fn judge(file: &ConfigFile, command: &Command, subcommand: &str) -> Result<(), String> {
    let mut words: Vec<OsString> = vec![command.get_name().into(), subcommand.into()];
    let found = command.find_subcommand(subcommand);
    for (name, arg) in found.into_iter().flat_map(setting_flags) {
        if let Some(entry) = file.entry(name) {
            words.extend(arguments(file, entry, arg)?);
        }
    }
    let no_variable = |arg: Arg| arg.env(Resettable::Reset);
    let alone = command.clone();
    let mut alone = alone.mut_subcommands(|sub| sub.mut_args(no_variable));
    match alone.try_get_matches_from_mut(words) {
        Ok(_) => Ok(()),
        Err(err) => Err(explain(file, err, found)),
    }
}

/// Returns the error of the parser with the place in the file instead of the flag.
fn explain(file: &ConfigFile, mut err: clap::Error, subcommand: Option<&Command>) -> String {
    let flag = flag_in(&err).unwrap_or_default();
    let name = flag.trim_start_matches('-');
    if let Some(entry) = file.entry(name) {
        let value = match err.get(ContextKind::InvalidValue) {
            Some(ContextValue::String(value)) => value.clone(),
            _ => String::new(),
        };
        let place = file.place(name, position(entry, &value));
        err.insert(ContextKind::InvalidArg, ContextValue::String(place));
        let flags = subcommand.into_iter().flat_map(setting_flags);
        let mut named = flags.filter(|(flag, _)| *flag == name);
        hide_secret(&mut err, named.next().map(|(_, arg)| arg));
    }
    sentence(&err)
}

/// Returns the position of the value that was refused: an element of a list, or its part before or
/// behind a comma.
fn position(entry: &FileEntry, value: &str) -> Position {
    let FileValue::List(values) = &entry.value else {
        return entry.at;
    };
    let is_refused = |text: &str| text == value || text.split([',', '\n']).any(|it| it == value);
    let found = values.iter().find(|(text, _)| is_refused(text));
    found.map_or(entry.at, |(_, at)| *at)
}

/// Returns an error of the parser as one line, without its first word and its advice.
pub(super) fn sentence(err: &clap::Error) -> String {
    let whole = err.render().to_string();
    let first = whole.split("\n\n").next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let lines: Vec<&str> = first.lines().map(str::trim).collect();
    terminal::escape(&lines.join(" ")).into_owned()
}
