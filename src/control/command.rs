//! The text commands: what there is to say, and how a line of them is read.
//!
//! Pure: it takes the bytes of a line and returns commands, and never asks who sent them or whether
//! they can be carried out. A line may hold several commands, and a fault in one spoils only that one.

use std::time::Duration;

use super::ring_query::Question;
use super::suggest::{echo, nearest};
use crate::access::Token;
use crate::orders::{ChangeKind, ChangeRequest, Order};
use crate::roster::ReplicaName;

pub use super::command_table::{COMMANDS, Entry, FOOTNOTE};

/// How many commands a line may hold, so that a short line cannot make endless work.
pub const MAX_COMMANDS: usize = 64;

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// All commands, or one of them in full.
    Help(Option<&'static Entry>),
    /// The replicas.
    Rep,
    /// How the replicas stand, or one of them.
    Show(Option<ReplicaName>),
    /// More or fewer replicas.
    Change(ChangeKind, ChangeRequest),
    /// Another order about replicas, answered with those there are then.
    Fleet(Order),
    /// What there is to know of the ring, as it is or as it would be.
    Ask(Question),
    /// A change of the ring or the bound, answered with what there is then.
    Switch(Order, Question),
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
pub struct Request {
    /// What is asked for, or what is wrong with it.
    pub command: Result<Command, String>,
    /// Whether the answer is to be JSON.
    pub json: bool,
}

/// What can be wrong with the words after a command's name.
pub(super) enum Fault {
    /// They do not fit its usage.
    Usage,
    /// They fit, and yet: the sentence.
    Because(String),
}

/// Reads a line that has lost its line ending.
///
/// # Errors
/// A sentence, when there is not one command to find in it.
pub fn parse(line: &[u8]) -> Result<Vec<Request>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "line is not UTF-8 text")?;
    let mut parts = line
        .split(';')
        .map(|part| Vec::from_iter(part.split_ascii_whitespace()))
        .filter(|words| !words.is_empty());
    let mut requests: Vec<Request> = parts.by_ref().take(MAX_COMMANDS).map(request).collect();
    if parts.next().is_some() {
        return Err(format!("line holds more than {MAX_COMMANDS} commands"));
    }
    let Some((_, others)) = requests.split_last_mut() else {
        return Err("line is empty; try 'help'".into());
    };
    for request in others {
        if request.command.as_ref().is_ok_and(Command::streams) {
            request.command =
                Err("it goes on until you leave, so it must be the last of its line".into());
        }
    }
    Ok(requests)
}

impl Command {
    /// Whether it goes on until the sender leaves.
    #[must_use]
    pub fn streams(&self) -> bool {
        matches!(self, Self::Events { follow: true, .. } | Self::Watch(_))
    }
}

fn request(mut words: Vec<&str>) -> Request {
    let json = words.len() > 1 && words.last() == Some(&"json");
    if json {
        words.pop();
    }
    let command = find(words[0]).and_then(|entry| {
        (entry.read)(&words[1..]).map_err(|fault| match fault {
            Fault::Usage => format!("usage: {}", entry.usage),
            Fault::Because(sentence) => sentence,
        })
    });
    Request { command, json }
}

/// The entry of this name.
pub(super) fn find(name: &str) -> Result<&'static Entry, String> {
    let known = COMMANDS.iter().find(|entry| entry.name == name);
    known.ok_or_else(|| {
        let names: Vec<&str> = COMMANDS.iter().map(|entry| entry.name).collect();
        let hint = match nearest(name, &names) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => "try 'help'".into(),
        };
        format!("there is no command '{}'; {hint}", echo(name))
    })
}

#[cfg(test)]
mod tests;
