//! Carries out a command, whichever protocol it came in, and says the same in lines for people and in
//! JSON for programs.
//!
//! It knows no socket: who may ask, and how an answer is framed, is the protocols' own. Adding a command is
//! one more arm here, one entry in `command.rs` and, for HTTP, one row in `http/routes.rs`.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::command::{self, COMMANDS, CommandSpec, ControlCommand};
use super::ring_query::RingQuery;
use super::ring_report::{self, Report};
use super::{ControlContext, path, replica_commands, stats};
use crate::access::AccessKind;
use crate::fleet::Event;
use crate::orders::{self, Order, OrderError};

/// What a command brought, to be said in lines or in JSON.
#[derive(Debug)]
pub(super) enum CommandOutput {
    /// The same in both forms.
    Report {
        /// For people.
        lines: Vec<String>,
        /// For programs, in one line.
        json: String,
    },
    /// Events, of which there may be many: only the form that is wanted is made.
    Events(Vec<Event>),
}

/// An answer, or why there is none.
pub(super) type CommandResult = Result<CommandOutput, OrderError>;

impl CommandOutput {
    /// One word, for a command that has nothing to tell.
    pub(super) fn from_word(word: &str) -> Self {
        Self::Report {
            lines: vec![word.into()],
            json: orders::success(&word.into()),
        }
    }

    /// For people, one line each.
    pub(super) fn lines(self) -> Vec<String> {
        match self {
            Self::Report { lines, .. } => lines,
            Self::Events(events) => events.iter().map(ToString::to_string).collect(),
        }
    }

    /// For programs: one value.
    pub(super) fn json(self) -> String {
        match self {
            Self::Report { json, .. } => json,
            Self::Events(events) => {
                let events: Vec<Value> = events.iter().map(Event::to_json).collect();
                Value::from(events).to_string()
            }
        }
    }
}

/// What a sender must be allowed: the path that a denial names, and what the command does. `None`: anyone may.
pub(super) fn required_access(command: &ControlCommand) -> Option<(&'static str, AccessKind)> {
    let reads = |path| Some((path, AccessKind::Read));
    let changes = |path| Some((path, AccessKind::Write));
    match command {
        ControlCommand::Help(_)
        | ControlCommand::Auth(_)
        | ControlCommand::Prompt
        | ControlCommand::Quit => None,
        ControlCommand::Rep => reads("/rep"),
        ControlCommand::Show(_) => reads("/replicas"),
        ControlCommand::Change(kind, _) => changes(path(*kind)),
        ControlCommand::Order(order) => changes(replica_commands::path_of(order)),
        ControlCommand::Query(RingQuery::Owner(_)) => reads("/where"),
        ControlCommand::Query(RingQuery::Ring | RingQuery::Arcs(_)) => reads("/ring"),
        ControlCommand::Query(RingQuery::Bound) => reads("/bound"),
        ControlCommand::Query(RingQuery::Plan(_)) => reads("/plan"),
        ControlCommand::Switch(Order::Bound(_), _) => changes("/bound"),
        ControlCommand::Switch(..) => changes("/ring"),
        ControlCommand::Stats | ControlCommand::Watch(_) => reads("/stats"),
        ControlCommand::Events { .. } => reads("/events"),
    }
}

/// Carries out `command` in the name of `peer`. When the future is dropped, an order already handed to the
/// fleet goes on.
pub(super) async fn execute(
    command: ControlCommand,
    peer: SocketAddr,
    context: &ControlContext,
) -> CommandResult {
    match command {
        ControlCommand::Help(None) => Ok(help()),
        ControlCommand::Help(Some(entry)) => Ok(help_for(entry)),
        ControlCommand::Rep => names_output(context.desk.list()),
        ControlCommand::Show(name) => {
            to_output(replica_commands::show(context, name.as_ref()).await)
        }
        ControlCommand::Change(kind, change) => {
            names_output(context.change(kind, change, peer).await)
        }
        ControlCommand::Order(order) => {
            names_output(context.desk.submit(order, peer.to_string()).await)
        }
        ControlCommand::Query(question) => to_output(
            ring_report::query(context, question)
                .await
                .map_err(OrderError::invalid),
        ),
        ControlCommand::Switch(order, then) => {
            context.desk.submit(order, peer.to_string()).await?;
            to_output(
                ring_report::query(context, then)
                    .await
                    .map_err(OrderError::invalid),
            )
        }
        ControlCommand::Stats | ControlCommand::Watch(_) => to_output(
            stats::report(context)
                .await
                .map_err(OrderError::unavailable),
        ),
        ControlCommand::Events { since, .. } => {
            Ok(CommandOutput::Events(context.events_since(since)))
        }
        ControlCommand::Auth(_) | ControlCommand::Prompt | ControlCommand::Quit => {
            Err(OrderError::invalid("there is no conversation here"))
        }
    }
}

fn to_output(outlook: Result<Report, OrderError>) -> CommandResult {
    let (lines, message) = outlook?;
    let json = orders::success(&message);
    Ok(CommandOutput::Report { lines, json })
}

fn names_output(answer: orders::OrderResult) -> CommandResult {
    let json = orders::render(&answer).1;
    let names = answer?;
    let mut lines = vec![format!("N {}", names.len())];
    lines.extend(names.iter().map(ToString::to_string));
    Ok(CommandOutput::Report { lines, json })
}

/// All commands.
pub(super) fn help() -> CommandOutput {
    let width = COMMANDS.iter().map(|entry| entry.usage.len()).max();
    let width = width.unwrap_or(0);
    let line = |entry: &CommandSpec| format!("{:width$}  {}", entry.usage, entry.about);
    let mut lines: Vec<String> = COMMANDS.iter().map(line).collect();
    lines.push(command::FOOTNOTE.into());
    let json = COMMANDS.iter().map(describe).collect::<Vec<_>>();
    CommandOutput::Report {
        lines,
        json: Value::from(json).to_string(),
    }
}

fn help_for(entry: &CommandSpec) -> CommandOutput {
    let mut lines = vec![entry.usage.into(), format!("  {}", entry.about)];
    lines.extend(entry.more.iter().map(|line| format!("  {line}")));
    CommandOutput::Report {
        lines,
        json: describe(entry).to_string(),
    }
}

fn describe(entry: &CommandSpec) -> Value {
    json!({"command": entry.name, "usage": entry.usage, "about": entry.about, "more": entry.more.join(" ")})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_aligned_and_fits_a_terminal() {
        let lines = help().lines();
        let column = lines[0].find("this list").unwrap();
        for (line, entry) in lines.iter().zip(COMMANDS) {
            assert_eq!(line.find(entry.about), Some(column), "{line}");
            assert!(line.len() <= 100, "{line}");
            let about = help_for(entry).lines();
            assert!(about.iter().all(|line| line.len() <= 102), "{about:?}");
            let json = help_for(entry).json();
            assert!(serde_json::from_str::<Value>(&json).is_ok());
        }
        assert_eq!(lines.last().unwrap(), command::FOOTNOTE);
        assert!(serde_json::from_str::<Value>(&help().json()).is_ok());
    }
}
