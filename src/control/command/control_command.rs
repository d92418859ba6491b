//! A command of the control port as one typed value, whichever protocol it came in, and the form of
//! an entry in the command table.

use std::time::Duration;

use super::arguments::UsageError;
use crate::access::{AccessKind, Token};
use crate::control::ring_query::RingQuery;
use crate::orders::Order;
use crate::roster::ReplicaName;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlCommand {
    /// Lists all commands, or explains one.
    Help(Option<&'static CommandSpec>),
    /// Lists the replicas that have answered.
    Rep,
    /// Shows the state of all replicas, or of one.
    Show(Option<ReplicaName>),
    /// Shows all settings, each with its value and its source.
    ShowConfig,
    /// Has a new process take over, with the settings as they are now.
    Reload,
    /// Changes the fleet, the ring or the bound. The answer is the state after the change.
    Order(Order),
    /// Asks about the ring, as it is or as a change would make it.
    Query(RingQuery),
    /// Shows the limits for each client, and the clients with the most refusals.
    Clients,
    /// Shows counters and rates.
    Stats,
    /// Shows counters and rates again after each interval, until the client leaves.
    Watch(Duration),
    /// Shows the rates of the last two minutes. HTTP alone has it, since lines cannot draw them.
    History,
    /// Lists recorded events.
    Events {
        /// Only events with a higher number are listed.
        since: u64,
        /// `true` also sends new events as they happen, until the client leaves.
        follow: bool,
    },
    /// Presents the token for the commands after it.
    Auth(Token),
    /// Keeps the connection open for more lines.
    Prompt,
    /// Closes the connection.
    Quit,
}

impl ControlCommand {
    /// Returns `true` if the answer goes on until the client leaves.
    #[must_use]
    pub fn streams(&self) -> bool {
        matches!(self, Self::Events { follow: true, .. } | Self::Watch(_))
    }

    /// Returns the permission a client needs: the HTTP path that a denial names, and the kind of
    /// access. `None` if no permission is needed.
    #[must_use]
    pub fn required_access(&self) -> Option<(&'static str, AccessKind)> {
        let path = match self {
            Self::Help(_) | Self::Auth(_) | Self::Prompt | Self::Quit => return None,
            Self::Order(order) => return Some((order_path(order), order_access(order))),
            Self::Reload => return Some(("/reload", AccessKind::Write)),
            Self::Rep => "/rep",
            Self::Show(_) => "/replicas",
            Self::ShowConfig => "/config",
            Self::Query(RingQuery::Owner(_)) => "/where",
            Self::Query(RingQuery::Ring | RingQuery::Arcs(_)) => "/ring",
            Self::Query(RingQuery::Bound) => "/bound",
            Self::Query(RingQuery::Plan(_)) => "/plan",
            Self::Clients => "/clients",
            Self::Stats | Self::Watch(_) => "/stats",
            Self::History => "/history",
            Self::Events { .. } => "/events",
        };
        Some((path, AccessKind::Read))
    }
}

fn order_path(order: &Order) -> &'static str {
    match order {
        Order::Add(_) => "/add",
        Order::Rm(_) | Order::RmAll => "/rm",
        Order::Scale(_) => "/scale",
        Order::AddBackend(_)
        | Order::SetBackend(_)
        | Order::Replace(_)
        | Order::Drain(_)
        | Order::Ready(_)
        | Order::Weight(..)
        | Order::Kill(_) => "/replicas",
        Order::StopReplace | Order::ReplaceBack => "/replace",
        Order::Ring(_) => "/ring",
        Order::Bound(_) => "/bound",
    }
}

fn order_access(order: &Order) -> AccessKind {
    match order {
        Order::Kill(_) => AccessKind::LocalWrite,
        _ => AccessKind::Write,
    }
}

/// An entry of the command table.
#[derive(Debug)]
pub struct CommandSpec {
    /// First word of the command.
    pub name: &'static str,
    /// Syntax of the command.
    pub usage: &'static str,
    /// Effect of the command, in half a line.
    pub about: &'static str,
    /// Further explanation, in lines.
    pub more: &'static [&'static str],
    /// Parser of the words after the name.
    pub(super) read: fn(&[&str]) -> Result<ControlCommand, UsageError>,
}

impl PartialEq for CommandSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for CommandSpec {}
