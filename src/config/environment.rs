//! Environment variables that look like flags of the program and are none: a misspelled one would
//! be ignored in silence.

use std::collections::BTreeSet;

use clap::CommandFactory as _;

use super::args::Args;
use crate::suggest::nearest;
use crate::terminal;

/// Prefix of the program's variables.
const PREFIX: &str = "RINGMASTER_";

/// Returns a sentence for each variable of the environment that has the prefix and belongs to no
/// flag.
pub(crate) fn unknown_variables() -> Vec<String> {
    let set = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    unknown(set, &known_variables())
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
    let lowercase: Vec<String> = known.iter().map(|name| name.to_ascii_lowercase()).collect();
    let lowercase: Vec<&str> = lowercase.iter().map(String::as_str).collect();
    let mut sentences: Vec<String> = set
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .map(|name| {
            let meant = nearest(&name, &lowercase).map(str::to_ascii_uppercase);
            let hint = meant.map(|meant| format!("; did you mean {meant}?"));
            let name = terminal::escape(&name);
            format!(
                "{name} is not a variable of this program and is ignored{}",
                hint.unwrap_or_default()
            )
        })
        .collect();
    sentences.sort();
    sentences
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
