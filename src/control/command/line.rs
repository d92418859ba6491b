//! The text commands: what there is to say, and how a line of them is read.
//!
//! Pure: it takes the bytes of a line and returns commands, and never asks who sent them or whether
//! they can be carried out. A line may hold several commands, and a fault in one spoils only that one.

use std::time::Duration;

use super::ring_query::RingQuery;
use super::suggest::{nearest, sanitize_echo};
use crate::access::Token;
use crate::orders::{ChangeKind, ChangeRequest, Order};
use crate::roster::ReplicaName;

pub use super::command_table::{COMMANDS, CommandSpec, FOOTNOTE};

/// How many commands a line may hold, so that a short line cannot make endless work.
pub const MAX_COMMANDS: usize = 64;

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlCommand {
    /// All commands, or one of them in full.
    Help(Option<&'static CommandSpec>),
    /// The replicas.
    Rep,
    /// How the replicas stand, or one of them.
    Show(Option<ReplicaName>),
    /// More or fewer replicas.
    Change(ChangeKind, ChangeRequest),
    /// Another order about replicas, answered with those there are then.
    Order(Order),
    /// What there is to know of the ring, as it is or as it would be.
    Query(RingQuery),
    /// A change of the ring or the bound, answered with what there is then.
    Switch(Order, RingQuery),
    /// What was counted, and how fast things go.
    Stats,
    /// The same again and again, after so much time each.
    Watch(Duration),
    /// What happened of late.
    Events {
        /// Only what has a higher number.
        since: u64,
        /// Whether what happens from here on is told, too, as it happens.
        follow: bool,
    },
    /// Shows a secret, for the commands after it.
    Auth(Token),
    /// More lines of commands.
    Prompt,
    /// No more commands.
    Quit,
}

/// One command of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedCommand {
    /// What is asked for, or what is wrong with it.
    pub command: Result<ControlCommand, String>,
    /// Whether the answer is to be JSON.
    pub json: bool,
}

/// What can be wrong with the words after a command's name.
pub(super) enum UsageError {
    /// They do not fit its usage.
    Usage,
    /// They fit, and yet: the sentence.
    Reason(String),
}

/// Reads a line that has lost its line ending.
///
/// # Errors
/// A sentence, when there is not one command to find in it.
pub fn parse(line: &[u8]) -> Result<Vec<ParsedCommand>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "line is not UTF-8 text")?;
    let mut parts = line
        .split(';')
        .map(|part| Vec::from_iter(part.split_ascii_whitespace()))
        .filter(|words| !words.is_empty());
    let mut requests: Vec<ParsedCommand> = parts
        .by_ref()
        .take(MAX_COMMANDS)
        .map(parse_command)
        .collect();
    if parts.next().is_some() {
        return Err(format!("line holds more than {MAX_COMMANDS} commands"));
    }
    let Some((_, others)) = requests.split_last_mut() else {
        return Err("line is empty; try 'help'".into());
    };
    for request in others {
        if request.command.as_ref().is_ok_and(ControlCommand::streams) {
            request.command =
                Err("it goes on until you leave, so it must be the last of its line".into());
        }
    }
    Ok(requests)
}

impl ControlCommand {
    /// Whether it goes on until the sender leaves.
    #[must_use]
    pub fn streams(&self) -> bool {
        matches!(self, Self::Events { follow: true, .. } | Self::Watch(_))
    }
}

fn parse_command(mut words: Vec<&str>) -> ParsedCommand {
    let json = words.len() > 1 && words.last() == Some(&"json");
    if json {
        words.pop();
    }
    let command = find_command(words[0]).and_then(|entry| {
        (entry.read)(&words[1..]).map_err(|fault| match fault {
            UsageError::Usage => format!("usage: {}", entry.usage),
            UsageError::Reason(sentence) => sentence,
        })
    });
    ParsedCommand { command, json }
}

/// The entry of this name.
pub(super) fn find_command(name: &str) -> Result<&'static CommandSpec, String> {
    let known = COMMANDS.iter().find(|entry| entry.name == name);
    known.ok_or_else(|| {
        let names: Vec<&str> = COMMANDS.iter().map(|entry| entry.name).collect();
        let hint = match nearest(name, &names) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => "try 'help'".into(),
        };
        format!("there is no command '{}'; {hint}", sanitize_echo(name))
    })
}

#[cfg(test)]
mod tests;
