//! The control port: takes commands from people and programs, in text or HTTP, whichever the first line
//! of a connection is, on a thread of its own.
//!
//! It knows who may command and how answers look; the work is done by whoever stands behind the desk.
//! It reads the roster and writes nothing. The surprise: an order outlives its sender: a client that
//! leaves in the middle of a long `add` still gets the replicas.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::access::AccessPolicy;
use crate::fleet::{Event, Journal};
use crate::orders::{ChangeKind, ChangeRequest, OrderQueue, OrderResult};
use crate::roster::Observer;

mod admission;
pub mod command;
mod command_table;
mod connection;
mod connection_slots;
mod dashboard;
mod execute;
mod http;
mod http_slot;
mod journal_follower;
mod metrics;
mod replica_commands;
pub mod ring_query;
mod ring_report;
mod server;
mod stats;
mod suggest;
mod text_protocol;
mod watch;

use server::Shared;

pub use server::start;
pub use stats::{FleetCounts, StatsSources};

/// What the control port may ask of the rest of the program.
#[derive(Clone)]
pub struct ControlContext {
    /// Where orders are handed in.
    pub desk: OrderQueue,
    /// Who may command.
    pub access: AccessPolicy,
    /// Where the newest roster is seen.
    pub roster: Observer,
    /// The most replicas that may be wanted.
    pub max_replicas: usize,
    /// Whether requests can be served now; if not, why, in a sentence without `<Error> `.
    pub ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// What statistics are made of.
    pub sources: StatsSources,
    /// What happened of late.
    pub journal: Journal,
    /// The limits of the port.
    pub limits: ControlLimits,
}

/// What one client, or all of them together, may use up.
#[derive(Debug, Clone)]
pub struct ControlLimits {
    /// How many connections are served at once. More than streams and orders (which are 65 at most, one being
    /// carried out) can hold for long, so that a read always finds a place.
    pub connections: usize,
    /// How many more wait for a place when answers are owed to all of these; the one that has waited longest
    /// makes room for the next.
    pub waiting: usize,
    /// How long one waits for a place before it is refused.
    pub place_timeout: Duration,
    /// How many connections may be on their way to the close; the oldest is dropped for the next.
    pub lingering: usize,
    /// How many connections may be streams (`-w`, `watch`, server-sent events), which hold their places for
    /// long: the others are for health checks and commands.
    pub streams: usize,
    /// The longest line, in bytes, without its ending.
    pub line: usize,
    /// Until the whole first line is here.
    pub idle_timeout: Duration,
    /// From a prompt until the next whole line is here.
    pub prompt_timeout: Duration,
    /// From the first line, or from an answer, until the whole (next) HTTP head is here.
    pub head_timeout: Duration,
    /// From an HTTP head until its whole body is here.
    pub body_timeout: Duration,
    /// How long a client may read nothing while something is written to it.
    pub write_timeout: Duration,
    /// After so long without an event, a server-sent stream gets a comment, so that a client who left is
    /// noticed.
    pub stream_pulse: Duration,
    /// How much is read and dropped before a close, or behind a command that streams, in bytes.
    pub discard_bytes: usize,
    /// How long it is read and dropped before a close.
    pub discard_time: Duration,
    /// How long running answers may take after the word to stop.
    pub stop_timeout: Duration,
}

impl Default for ControlLimits {
    fn default() -> Self {
        Self {
            connections: 128,
            waiting: 32,
            place_timeout: Duration::from_secs(5),
            lingering: 64,
            streams: 32,
            line: 64 * 1024,
            idle_timeout: Duration::from_secs(60),
            prompt_timeout: Duration::from_secs(600),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            stream_pulse: Duration::from_secs(15),
            discard_bytes: 1024 * 1024,
            discard_time: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(1),
        }
    }
}

impl ControlLimits {
    /// What is said to one client too many.
    fn all_open(&self) -> String {
        format!("{} connections are open already", self.connections)
    }
}

impl fmt::Debug for ControlContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("desk", &self.desk)
            .field("access", &self.access)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl ControlContext {
    /// The events after `number`, or all if none has that number yet: then it is of an earlier start.
    fn events_since(&self, number: u64) -> Vec<Event> {
        let newest = *self.journal.newest().borrow();
        let after = if number > newest { 0 } else { number };
        self.journal.since(after)
    }

    async fn change(
        &self,
        kind: ChangeKind,
        change: ChangeRequest,
        peer: SocketAddr,
    ) -> OrderResult {
        let order = kind.into_order(change);
        self.desk.submit(order, peer.to_string()).await
    }
}

/// The path of a change: also what text answers call it.
fn path(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Add => "/add",
        ChangeKind::Rm => "/rm",
    }
}

#[cfg(test)]
mod tests;
