//! Carries out a command, whichever protocol it came in, and renders its result as lines and as
//! JSON.
//!
//! Sockets are unknown here: the protocols check access and frame the answer. A new command is one
//! more arm here, an entry in `command/table.rs` and, for HTTP, a row in `http/routes.rs`.

use serde_json::{Value, json};

use super::command::{COMMANDS, CommandSpec, ControlCommand, FOOTNOTE};
use super::context::ControlContext;
use super::ring_query::{PlannedChange, RingQuery};
use super::ring_report::{self, Report};
use super::{client_report, config_report, reload, replace_report, replica_report, stats};
use crate::fleet::Event;
use crate::orders::{self, Order, OrderError, OrderResult};
use crate::roster::ReplicaName;
use crate::wire::peer_addr::PeerAddr;

/// Output of a command.
#[derive(Debug)]
pub(super) enum CommandOutput {
    /// The same report in both forms.
    Report {
        /// Text form.
        lines: Vec<String>,
        /// JSON form, in one line.
        json: String,
    },
    /// Events. There may be many, so only the requested form is rendered.
    Events(Vec<Event>),
}

/// Output of a command, or its refusal.
pub(super) type CommandResult = Result<CommandOutput, OrderError>;

impl CommandOutput {
    /// Output of one word, for a command without a report.
    pub(super) fn from_word(word: &str) -> Self {
        Self::Report {
            lines: vec![word.into()],
            json: orders::success(&word.into()),
        }
    }

    /// Returns the text form.
    pub(super) fn lines(self) -> Vec<String> {
        match self {
            Self::Report { lines, .. } => lines,
            Self::Events(events) => events.iter().map(ToString::to_string).collect(),
        }
    }

    /// Returns the JSON form, one value.
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

/// Carries out `command` for the client at `peer`. When the future is dropped, an order already
/// submitted goes on.
pub(super) async fn execute(
    command: ControlCommand,
    peer: PeerAddr,
    context: &ControlContext,
) -> CommandResult {
    match command {
        ControlCommand::Help(None) => Ok(help()),
        ControlCommand::Help(Some(spec)) => Ok(help_for(spec)),
        ControlCommand::Rep => names_output(context.orders.list()),
        ControlCommand::Show(name) => to_output(replica_report::show(context, name.as_ref()).await),
        ControlCommand::ShowConfig => to_output(Ok(config_report::report(context))),
        ControlCommand::Reload => to_output(reload::request(&context.reloads, peer).await),
        ControlCommand::Order(order) => {
            let result = context.orders.submit(order.clone(), peer.to_string()).await;
            match order {
                Order::Ring(_) | Order::Weight(..) => {
                    result?;
                    query(context, RingQuery::Ring).await
                }
                Order::Bound(_) => {
                    result?;
                    query(context, RingQuery::Bound).await
                }
                Order::Drain(name) => describe_drain(context, result, &name, true).await,
                Order::Ready(name) => describe_drain(context, result, &name, false).await,
                _ => names_output(result),
            }
        }
        ControlCommand::Query(question) => query(context, question).await,
        ControlCommand::Clients => to_output(Ok(client_report::report(&context.clients))),
        ControlCommand::Stats | ControlCommand::Watch(_) => to_output(
            stats::report(context)
                .await
                .map_err(OrderError::unavailable),
        ),
        ControlCommand::History => to_output(Ok((Vec::new(), stats::history(context)))),
        ControlCommand::Events { since, .. } => {
            Ok(CommandOutput::Events(context.events_since(since)))
        }
        // The text protocol handles these itself, and no HTTP route has them.
        ControlCommand::Auth(_) | ControlCommand::Prompt | ControlCommand::Quit => Err(
            OrderError::invalid("only the text protocol has this command"),
        ),
    }
}

async fn query(context: &ControlContext, question: RingQuery) -> CommandResult {
    let report = match &question {
        RingQuery::Plan(PlannedChange::Replace(request)) => {
            replace_report::plan(context, request).await
        }
        _ => ring_report::query(context, question).await,
    };
    to_output(report.map_err(OrderError::invalid))
}

fn to_output(report: Result<Report, OrderError>) -> CommandResult {
    let (lines, message) = report?;
    let json = orders::success(&message);
    Ok(CommandOutput::Report { lines, json })
}

/// Returns the answer to `drain` and `ready`. A replica that has left meanwhile is not described:
/// the order was carried out.
async fn describe_drain(
    context: &ControlContext,
    result: OrderResult,
    name: &ReplicaName,
    drained: bool,
) -> CommandResult {
    let names = result?;
    let described = replica_report::describe(context, name, drained).await;
    let done = described.unwrap_or_else(|_| format!("{name} has left meanwhile"));
    Ok(drain_output(&names, done))
}

/// Returns the list of `rep` and, behind it, what has become of the replica.
fn drain_output(names: &[ReplicaName], done: String) -> CommandOutput {
    let mut lines = list_lines(names);
    let mut message = orders::names_message(names);
    message["done"] = Value::from(done.as_str());
    lines.push(done);
    let json = orders::success(&message);
    CommandOutput::Report { lines, json }
}

fn names_output(result: OrderResult) -> CommandResult {
    let json = orders::render(&result).1;
    let lines = list_lines(&result?);
    Ok(CommandOutput::Report { lines, json })
}

fn list_lines(names: &[ReplicaName]) -> Vec<String> {
    let mut lines = vec![format!("N {}", names.len())];
    lines.extend(names.iter().map(ToString::to_string));
    lines
}

/// Returns the list of all commands.
pub(super) fn help() -> CommandOutput {
    let width = COMMANDS.iter().map(|spec| spec.usage.len()).max();
    let width = width.unwrap_or(0);
    let line = |spec: &CommandSpec| format!("{:width$}  {}", spec.usage, spec.about);
    let mut lines: Vec<String> = COMMANDS.iter().map(line).collect();
    lines.push(FOOTNOTE.into());
    let json = COMMANDS.iter().map(describe).collect::<Vec<_>>();
    CommandOutput::Report {
        lines,
        json: Value::from(json).to_string(),
    }
}

fn help_for(spec: &CommandSpec) -> CommandOutput {
    let mut lines = vec![spec.usage.into(), format!("  {}", spec.about)];
    lines.extend(spec.more.iter().map(|line| format!("  {line}")));
    CommandOutput::Report {
        lines,
        json: describe(spec).to_string(),
    }
}

fn describe(spec: &CommandSpec) -> Value {
    json!({"command": spec.name, "usage": spec.usage, "about": spec.about, "more": spec.more.join(" ")})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_aligned_and_fits_a_terminal() {
        let lines = help().lines();
        let column = lines[0].find("this list").unwrap();
        for (line, spec) in lines.iter().zip(COMMANDS) {
            assert_eq!(line.find(spec.about), Some(column), "{line}");
            assert!(line.len() <= 100, "{line}");
            let about = help_for(spec).lines();
            assert!(about.iter().all(|line| line.len() <= 102), "{about:?}");
            let json = help_for(spec).json();
            assert!(serde_json::from_str::<Value>(&json).is_ok());
        }
        assert_eq!(lines.last().unwrap(), FOOTNOTE);
        assert!(serde_json::from_str::<Value>(&help().json()).is_ok());
    }
}
