//! The table entry of `replace`, and the parser of its words.

use super::arguments::{UsageError, parse_int, parse_value, split_words};
use super::control_command::{CommandSpec, ControlCommand};
use crate::orders::{Order, ReplaceOptions, ReplaceRequest, ReplaceTarget, VersionRequest};
use crate::terminal;

pub(super) const REPLACE: CommandSpec = CommandSpec {
    name: "replace",
    usage: "replace NAME|all [VERSION]",
    about: "start a successor in its seat, then stop it; all: seat by seat",
    more: &[
        "VERSION is another image, or -- COMMAND for processes; it is pulled first if it is missing. A",
        "number N for NAME replaces the N lowest seats by it, as a trial. Options before it:",
        "--parallel K seats at a time (1); --monitor TIME that each new replica must live (5s);",
        "--max-failures K (1) of new replicas, upon which the former versions come back. The answer comes",
        "when the old ones have finished their requests and are gone. Without VERSION each seat keeps its",
        "own, and a failure ends the order.",
        "'replace stop' ends it after the seats that are done; 'replace back' brings back the versions",
        "from before it, or from before the last one. A shell command ends at ';' here: use HTTP for it.",
    ],
    read,
};

fn read(words: &[&str]) -> Result<ControlCommand, UsageError> {
    Ok(ControlCommand::Order(match words {
        ["stop"] => Order::StopReplace,
        ["back"] => Order::ReplaceBack,
        words => Order::Replace(parse_replace(words)?),
    }))
}

/// Parses the words behind `replace` or `plan replace`.
///
/// # Errors
/// The words do not fit the usage, or a sentence about the word that is wrong.
pub(super) fn parse_replace(words: &[&str]) -> Result<ReplaceRequest, UsageError> {
    let [target, words @ ..] = words else {
        return Err(UsageError::Usage);
    };
    if target.starts_with('-') || words.is_empty() && ["stop", "back"].contains(target) {
        return Err(UsageError::Usage);
    }
    let (options, version) = parse_options(words)?;
    let target = parse_target(target, version.is_some())?;
    let request = ReplaceRequest::new(target, version, &options);
    request.map_err(|refusal| UsageError::Reason(refusal.sentence))
}

/// Parses the same words from one text.
///
/// # Errors
/// A sentence about the word that is wrong, or the usage.
pub(in crate::control) fn parse_replace_text(text: &str) -> Result<ReplaceRequest, String> {
    let line = format!("{} {text}", REPLACE.name);
    parse_replace(&split_words(&line)[1..]).map_err(|err| match err {
        UsageError::Usage => format!("usage: {}", REPLACE.usage),
        UsageError::Reason(sentence) => sentence,
    })
}

/// Parses a target. With a version, a number is a number of seats and no name.
fn parse_target(word: &str, has_version: bool) -> Result<ReplaceTarget, String> {
    Ok(match parse_int(word) {
        _ if word == "all" => ReplaceTarget::All,
        Some(n) if has_version => ReplaceTarget::Lowest(n),
        _ => ReplaceTarget::One(parse_value(word)?),
    })
}

fn parse_options(
    mut words: &[&str],
) -> Result<(ReplaceOptions, Option<VersionRequest>), UsageError> {
    let mut options = ReplaceOptions::default();
    loop {
        words = match words {
            ["--parallel", count, rest @ ..] => {
                options.parallel = Some(parse_count("--parallel", count)?);
                rest
            }
            ["--max-failures", count, rest @ ..] => {
                options.max_failures = Some(parse_count("--max-failures", count)?);
                rest
            }
            ["--monitor", time, rest @ ..] => {
                let time = humantime::parse_duration(time);
                options.monitor = Some(time.map_err(|err| format!("--monitor: {err}"))?);
                rest
            }
            ["--", command @ ..] => {
                let command = VersionRequest::Command(command.join(" "));
                return Ok((options, Some(command)));
            }
            [option, ..] if option.starts_with('-') => {
                let option = terminal::echo(option);
                return Err(UsageError::Reason(format!(
                    "usage: replace NAME|all [OPTIONS] [VERSION]; '{option}' is not one of the options \
                     --parallel K, --monitor TIME, --max-failures K, or it has no value"
                )));
            }
            [image] => return Ok((options, Some(VersionRequest::Image((*image).to_owned())))),
            [] => return Ok((options, None)),
            _ => return Err(UsageError::Usage),
        };
    }
}

fn parse_count(option: &str, word: &str) -> Result<usize, String> {
    parse_int(word).ok_or_else(|| format!("{option} is not a whole number"))
}
