//! Flags whose values come from variables of the environment, so that an error names the variable
//! and not a flag that was never typed.

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// Flags that variables have set, each with its variable.
#[derive(Debug, Default)]
pub struct VariableSources(Vec<(String, String)>);

impl VariableSources {
    /// Returns the flags of the subcommand in `matches` that variables have set.
    pub(super) fn new(command: &Command, matches: &ArgMatches) -> Self {
        let Some((name, matches)) = matches.subcommand() else {
            return Self::default();
        };
        let is_set = |id: &str| matches.value_source(id) == Some(ValueSource::EnvVariable);
        let set = variables(command, name).filter(|(id, ..)| is_set(id));
        Self(set.map(|(_, flag, variable)| (flag, variable)).collect())
    }

    /// Returns the sentence with the variable in the place of each such flag.
    #[must_use]
    pub fn name_in(&self, sentence: &str) -> String {
        let mut named = sentence.to_owned();
        for (flag, variable) in &self.0 {
            named = replace_word(&named, flag, variable);
        }
        named
    }
}

/// Names the variable in an error about a value that was not typed, among `typed` arguments.
pub(super) fn name_variable(
    mut err: clap::Error,
    command: &Command,
    typed: &[String],
) -> clap::Error {
    let Some(ContextValue::String(argument)) = err.get(ContextKind::InvalidArg) else {
        return err;
    };
    let flag = argument.split([' ', '=']).next().unwrap_or_default();
    let is_typed = |word: &String| word.split('=').next() == Some(flag);
    let subcommand = typed.get(1).map_or("", String::as_str);
    let mut variables = variables(command, subcommand);
    let variable = variables.find(|(_, other, _)| other == flag);
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if let Some((_, _, variable)) = variable.filter(|(_, _, name)| is_set(name))
        && !typed.iter().any(is_typed)
    {
        err.insert(ContextKind::InvalidArg, ContextValue::String(variable));
    }
    err
}

/// Returns the ID, the flag and the variable of each flag of a subcommand that has a variable.
fn variables(
    command: &Command,
    subcommand: &str,
) -> impl Iterator<Item = (String, String, String)> {
    let subcommand = command.find_subcommand(subcommand);
    let arguments = subcommand.into_iter().flat_map(Command::get_arguments);
    arguments.filter_map(|argument| {
        let (flag, variable) = (argument.get_long()?, argument.get_env()?);
        let variable = variable.to_string_lossy().into_owned();
        Some((argument.get_id().to_string(), format!("--{flag}"), variable))
    })
}

/// Replaces `flag` where it is a whole word.
fn replace_word(sentence: &str, flag: &str, variable: &str) -> String {
    let mut replaced = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once(flag) {
        let goes_on = after.starts_with(|next: char| next == '-' || next.is_ascii_alphanumeric());
        replaced += before;
        replaced += if goes_on { flag } else { variable };
        rest = after;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_takes_the_place_of_its_flag_and_of_no_longer_one() {
        let sources = VariableSources(vec![
            ("--replica".to_owned(), "R".to_owned()),
            ("--listen".to_owned(), "RINGMASTER_LISTEN".to_owned()),
        ]);
        for (sentence, named) in [
            (
                "port 5 is taken (--listen)",
                "port 5 is taken (RINGMASTER_LISTEN)",
            ),
            (
                "--listen 1 and --control 1",
                "RINGMASTER_LISTEN 1 and --control 1",
            ),
            (
                "--replicas 3, --replica-port, --replica",
                "--replicas 3, --replica-port, R",
            ),
            ("", ""),
        ] {
            assert_eq!(sources.name_in(sentence), named);
        }
    }
}
