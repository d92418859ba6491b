//! The source of each value: command line, variable, file or default. An error then names what the
//! user wrote, and `show config` tells it.

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::file::ConfigFile;
use super::file_flags::setting_flags;
use super::parser_error::{flag_in, hide_secret};
use crate::settings::{Origin, Setting, Settings};

/// Returns the settings of a subcommand: `typed` has the values of the command line and the
/// environment, `all` also those of `file`.
pub(super) fn settings(
    subcommand: &Command,
    typed: &ArgMatches,
    all: &ArgMatches,
    file: Option<&ConfigFile>,
) -> Settings {
    let setting = |(name, arg): (&str, &Arg)| {
        let setting = Setting::new(name, origin(name, arg, typed, file));
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        let setting = setting.with_values(values(arg, all));
        let setting = match file.and_then(|file| file.entry(name)) {
            Some(entry) => setting.with_positions(entry.positions(arg.get_value_delimiter())),
            None => setting,
        };
        setting
            .with_list(is_list)
            .with_secret(arg.is_hide_env_values_set())
    };
    let all: Vec<Setting> = setting_flags(subcommand).map(setting).collect();
    let is_exposed = |setting: &&Setting| {
        let is_public = file.is_some_and(|file| file.is_public);
        is_public && setting.is_secret()
    };
    let exposed = all.iter().filter(is_exposed).find_map(Setting::place);
    let warnings = exposed.map(|place| {
        format!("{place}, is a secret, and every user may read the file; 'chmod o-r' prevents that")
    });
    Settings {
        all,
        file: file.map(|file| file.path.to_path_buf()),
        warnings: warnings.into_iter().collect(),
    }
}

/// Returns the source of the value of a flag.
fn origin(name: &str, arg: &Arg, typed: &ArgMatches, file: Option<&ConfigFile>) -> Origin {
    match is_set(arg, typed) {
        Some(ValueSource::EnvVariable) => {
            let variable = arg.get_env().unwrap_or_default();
            Origin::Variable(variable.to_string_lossy().into_owned())
        }
        Some(_) => Origin::Flag,
        None => {
            let in_file = file.and_then(|file| Some(file.origin(file.entry(name)?)));
            in_file.unwrap_or(Origin::Default)
        }
    }
}

/// Returns how a flag was set; `None` if it was not.
pub(super) fn is_set(arg: &Arg, matches: &ArgMatches) -> Option<ValueSource> {
    let source = matches.value_source(arg.get_id().as_str());
    source.filter(|source| *source != ValueSource::DefaultValue)
}

/// Returns the values of a flag as text.
fn values(arg: &Arg, matches: &ArgMatches) -> Vec<String> {
    let id = arg.get_id().as_str();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        // A variable may say it in other words.
        return vec![matches.get_flag(id).to_string()];
    }
    let raw = matches.get_raw(id).into_iter().flatten();
    raw.map(|value| value.to_string_lossy().into_owned())
        .collect()
}

/// Hides a secret in an error. Names the variable in an error about a value that is not among the
/// `typed` arguments.
pub(super) fn name_variable(
    mut err: clap::Error,
    command: &Command,
    typed: &[String],
) -> clap::Error {
    let Some(flag) = flag_in(&err) else {
        return err;
    };
    let is_typed = |word: &String| word.split('=').next() == Some(flag.as_str());
    let subcommand = typed.get(1).map_or("", String::as_str);
    let arguments = command.find_subcommand(subcommand).into_iter();
    let mut arguments = arguments.flat_map(Command::get_arguments);
    let found = arguments.find(|arg| arg.get_long() == flag.strip_prefix("--"));
    hide_secret(&mut err, found);
    let variable = found.and_then(Arg::get_env);
    let is_set =
        |name: &&std::ffi::OsStr| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if let Some(variable) = variable.filter(is_set)
        && !typed.iter().any(is_typed)
    {
        let variable = variable.to_string_lossy().into_owned();
        err.insert(ContextKind::InvalidArg, ContextValue::String(variable));
    }
    err
}
