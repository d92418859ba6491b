//! Carries out a command, whichever protocol it came in, and says the same in lines for people and in
//! JSON for programs.
//!
//! It knows no socket: who may ask, and how an answer is framed, is the protocols' own. Adding a command is
//! one more arm here, one entry in `command.rs` and, for HTTP, one row in `http/routes.rs`.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::command::{self, COMMANDS, Command, Entry};
use super::ring_query::Question;
use super::ring_report::{self, Outlook};
use super::{Context, path, replica_commands, stats};
use crate::access::AccessKind;
use crate::fleet::Event;
use crate::orders::{self, Order, OrderError};

/// What a command brought, to be said in lines or in JSON.
#[derive(Debug)]
pub(super) enum Answer {
    /// The same in both forms.
    Told {
        /// For people.
        lines: Vec<String>,
        /// For programs, in one line.
        json: String,
    },
    /// Events, of which there may be many: only the form that is wanted is made.
    Events(Vec<Event>),
}

/// An answer, or why there is none.
pub(super) type Outcome = Result<Answer, OrderError>;

impl Answer {
    /// One word, for a command that has nothing to tell.
    pub(super) fn word(word: &str) -> Self {
        Self::Told {
            lines: vec![word.into()],
            json: orders::success(&word.into()),
        }
    }

    /// For people, one line each.
    pub(super) fn lines(self) -> Vec<String> {
        match self {
            Self::Told { lines, .. } => lines,
            Self::Events(events) => events.iter().map(ToString::to_string).collect(),
        }
    }

    /// For programs: one value.
    pub(super) fn json(self) -> String {
        match self {
            Self::Told { json, .. } => json,
            Self::Events(events) => {
                let events: Vec<Value> = events.iter().map(Event::to_json).collect();
                Value::from(events).to_string()
            }
        }
    }
}

/// What a sender must be allowed: the path that a denial names, and what the command does. `None`: anyone may.
pub(super) fn needs(command: &Command) -> Option<(&'static str, AccessKind)> {
    let reads = |path| Some((path, AccessKind::Read));
    let changes = |path| Some((path, AccessKind::Write));
    match command {
        Command::Help(_) | Command::Auth(_) | Command::Prompt | Command::Quit => None,
        Command::Rep => reads("/rep"),
        Command::Show(_) => reads("/replicas"),
        Command::Change(kind, _) => changes(path(*kind)),
        Command::Fleet(order) => changes(replica_commands::path_of(order)),
        Command::Ask(Question::Whose(_)) => reads("/where"),
        Command::Ask(Question::Ring | Question::Picture(_)) => reads("/ring"),
        Command::Ask(Question::Bound) => reads("/bound"),
        Command::Ask(Question::Plan(_)) => reads("/plan"),
        Command::Switch(Order::Bound(_), _) => changes("/bound"),
        Command::Switch(..) => changes("/ring"),
        Command::Stats | Command::Watch(_) => reads("/stats"),
        Command::Events { .. } => reads("/events"),
    }
}

/// Carries out `command` in the name of `peer`. When the future is dropped, an order already handed to the
/// fleet goes on.
pub(super) async fn carry_out(command: Command, peer: SocketAddr, context: &Context) -> Outcome {
    match command {
        Command::Help(None) => Ok(help()),
        Command::Help(Some(entry)) => Ok(help_about(entry)),
        Command::Rep => listed(context.desk.list()),
        Command::Show(name) => told(replica_commands::show(context, name.as_ref()).await),
        Command::Change(kind, change) => listed(context.change(kind, change, peer).await),
        Command::Fleet(order) => listed(context.desk.submit(order, peer.to_string()).await),
        Command::Ask(question) => told(
            ring_report::look(context, question)
                .await
                .map_err(OrderError::invalid),
        ),
        Command::Switch(order, then) => {
            context.desk.submit(order, peer.to_string()).await?;
            told(
                ring_report::look(context, then)
                    .await
                    .map_err(OrderError::invalid),
            )
        }
        Command::Stats | Command::Watch(_) => {
            told(stats::look(context).await.map_err(OrderError::unavailable))
        }
        Command::Events { since, .. } => Ok(Answer::Events(context.events_since(since))),
        Command::Auth(_) | Command::Prompt | Command::Quit => {
            Err(OrderError::invalid("there is no conversation here"))
        }
    }
}

fn told(outlook: Result<Outlook, OrderError>) -> Outcome {
    let (lines, message) = outlook?;
    let json = orders::success(&message);
    Ok(Answer::Told { lines, json })
}

fn listed(answer: orders::OrderResult) -> Outcome {
    let json = orders::render(&answer).1;
    let names = answer?;
    let mut lines = vec![format!("N {}", names.len())];
    lines.extend(names.iter().map(ToString::to_string));
    Ok(Answer::Told { lines, json })
}

/// All commands.
pub(super) fn help() -> Answer {
    let width = COMMANDS.iter().map(|entry| entry.usage.len()).max();
    let width = width.unwrap_or(0);
    let line = |entry: &Entry| format!("{:width$}  {}", entry.usage, entry.about);
    let mut lines: Vec<String> = COMMANDS.iter().map(line).collect();
    lines.push(command::FOOTNOTE.into());
    let json = COMMANDS.iter().map(described).collect::<Vec<_>>();
    Answer::Told {
        lines,
        json: Value::from(json).to_string(),
    }
}

fn help_about(entry: &Entry) -> Answer {
    let mut lines = vec![entry.usage.into(), format!("  {}", entry.about)];
    lines.extend(entry.more.iter().map(|line| format!("  {line}")));
    Answer::Told {
        lines,
        json: described(entry).to_string(),
    }
}

fn described(entry: &Entry) -> Value {
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
            let about = help_about(entry).lines();
            assert!(about.iter().all(|line| line.len() <= 102), "{about:?}");
            let json = help_about(entry).json();
            assert!(serde_json::from_str::<Value>(&json).is_ok());
        }
        assert_eq!(lines.last().unwrap(), command::FOOTNOTE);
        assert!(serde_json::from_str::<Value>(&help().json()).is_ok());
    }
}
