//! Environment variables that look like flags of the program and are none: a misspelled one would
//! be ignored in silence.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use clap::CommandFactory as _;

use super::cli::Args;
use super::control_token;
use crate::settings::Settings;
use crate::suggest::nearest;
use crate::terminal;

/// Prefix of the program's variables.
const PREFIX: &str = "RINGMASTER_";

/// Returns sentences about settings that are valid and doubtful, and about unknown variables.
pub(crate) fn warnings(settings: &Settings) -> Vec<String> {
    let known = settings.warnings.iter().cloned();
    let known = known.chain(control_token::warning(settings));
    known.chain(unknown_variables()).collect()
}

/// Returns a sentence for each variable of the environment that has the prefix and belongs to no
/// flag.
fn unknown_variables() -> Vec<String> {
    // Besides service links, such a service has one variable with its whole address.
    let is_link = |value: &OsStr| value.to_string_lossy().starts_with("tcp://");
    let set = std::env::vars_os().filter(|(_, value)| !value.is_empty() && !is_link(value));
    let names = set.map(|(name, _)| name.to_string_lossy().into_owned());
    unknown(names, &known_variables())
}

/// Variables of all flags of all subcommands.
fn known_variables() -> BTreeSet<String> {
    let command = Args::command();
    let flags = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments);
    let names = flags.filter_map(clap::Arg::get_env);
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn unknown(set: impl Iterator<Item = String>, known: &BTreeSet<String>) -> Vec<String> {
    // Suggestions are made of lowercase names.
    let suffixes = known.iter().filter_map(|name| name.strip_prefix(PREFIX));
    let lowercase: Vec<String> = suffixes.map(str::to_ascii_lowercase).collect();
    let lowercase: Vec<&str> = lowercase.iter().map(String::as_str).collect();
    let mut sentences: Vec<String> = set
        .filter(|name| !known.contains(name) && !is_service_link(name))
        .filter_map(|name| {
            let suffix = name.strip_prefix(PREFIX)?;
            let meant = nearest(suffix, &lowercase).map(str::to_ascii_uppercase);
            let hint = meant.map(|meant| format!("; did you mean {PREFIX}{meant}?"));
            let name = terminal::escape(&name);
            let hint = hint.unwrap_or_default();
            Some(format!(
                "{name} is not a variable of this program and is ignored{hint}"
            ))
        })
        .collect();
    sentences.sort();
    sentences
}

/// Returns `true` for a variable by which Kubernetes and Docker announce a service that is called
/// `ringmaster`.
fn is_service_link(name: &str) -> bool {
    let suffix = name.strip_prefix(PREFIX).unwrap_or_default();
    suffix == "NAME"
        || ["PORT_", "SERVICE_", "ENV_"]
            .iter()
            .any(|link| suffix.starts_with(link))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_variable_is_reported_with_the_right_one() {
        let set = [
            "PATH",
            "RINGMASTER_LISTEN",
            "RINGMASTER_REPLICS",
            "RINGMASTER_FROBNICATE",
            "RINGMASTER_PORT_5000_TCP_ADDR",
            "RINGMASTER_SERVICE_HOST",
        ];
        let found = unknown(set.map(str::to_owned).into_iter(), &known_variables());
        assert_eq!(
            found,
            [
                "RINGMASTER_FROBNICATE is not a variable of this program and is ignored",
                "RINGMASTER_REPLICS is not a variable of this program and is ignored; did you \
                 mean RINGMASTER_REPLICAS?",
            ]
        );
    }
}
