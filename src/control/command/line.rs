//! The parser of a line of text commands.
//!
//! Pure. A line may hold several commands, and an error in one leaves the others valid.

use super::arguments::{UsageError, split_words};
use super::control_command::ControlCommand;
use super::table::find_command;

/// Maximum number of commands in a line, so that a short line cannot cause endless work.
pub const MAX_COMMANDS: usize = 64;

/// Command of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedCommand {
    /// The command, or a sentence that says why it is wrong.
    pub command: Result<ControlCommand, String>,
    /// `true` if the answer is to be JSON.
    pub json: bool,
}

/// Parses a line that has lost its line ending.
///
/// # Errors
/// A sentence, when the line holds no command, too many commands, or is not UTF-8.
pub fn parse(line: &[u8]) -> Result<Vec<ParsedCommand>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "line is not UTF-8 text")?;
    let mut parts = line
        .split(';')
        .map(split_words)
        .filter(|words| !words.is_empty());
    let mut commands: Vec<ParsedCommand> = parts
        .by_ref()
        .take(MAX_COMMANDS)
        .map(parse_command)
        .collect();
    if parts.next().is_some() {
        return Err(format!("line holds more than {MAX_COMMANDS} commands"));
    }
    let Some((_, before_last)) = commands.split_last_mut() else {
        return Err("line is empty; try 'help'".into());
    };
    for parsed in before_last {
        if parsed.command.as_ref().is_ok_and(ControlCommand::streams) {
            parsed.command =
                Err("it goes on until you leave, so it must be the last of its line".into());
        }
    }
    Ok(commands)
}

fn parse_command(mut words: Vec<&str>) -> ParsedCommand {
    // The last word of a shell command is its own.
    let is_shell = words.iter().rev().nth(1) == Some(&"--");
    let json = words.len() > 1 && words.last() == Some(&"json") && !is_shell;
    if json {
        words.pop();
    }
    let command = find_command(words[0]).and_then(|spec| {
        (spec.read)(&words[1..]).map_err(|err| match err {
            UsageError::Usage => format!("usage: {}", spec.usage),
            UsageError::Reason(sentence) => sentence,
        })
    });
    ParsedCommand { command, json }
}
