//! The control port: text commands and HTTP on one port, served by a thread of its own. The first
//! line of a connection decides the protocol.
//!
//! This module checks access and renders answers; the fleet carries the orders out. It reads the
//! roster and writes nothing. An order outlives its client: if the client leaves during a long
//! `add`, the replicas are still started.
//!
//! The way of a command: `server` accepts a connection, `admission` gives it a slot and recognises
//! its protocol, `text_protocol` or `http` parses it into a [`command::ControlCommand`], and
//! `execute` carries it out.

mod admission;
mod client_report;
mod client_slot;
pub mod command;
mod config_report;
mod connection;
mod connection_slots;
mod context;
mod dashboard;
mod execute;
mod http;
mod journal_follower;
mod key_report;
mod limits;
mod metrics;
mod planned_seats;
mod reload;
mod reload_call;
mod replace_report;
mod replica_report;
pub mod ring_query;
mod ring_report;
mod seat_state;
mod server;
mod shared;
mod stats;
mod text_answer;
mod text_protocol;
mod text_table;
mod watch;

pub use context::{ControlContext, FleetCounts, StatsSources};
pub use limits::ControlLimits;
pub(crate) use reload_call::reload_queue;
pub use reload_call::{MAX_QUEUED_RELOADS, ReloadCall, ReloadReport, ReloadResult, SettingChange};
pub use server::start;

#[cfg(test)]
mod tests;
