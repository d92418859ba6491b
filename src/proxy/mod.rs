//! The data port. A request's way:
//!
//! 1. `accept` takes a connection under a permit and starts its session on this worker.
//! 2. `session` loops over the requests of the connection until close, upgrade or drain.
//! 3. `request` reads one head strictly and makes of it what will be sent on, or who must answer it.
//! 4. `key` draws the key from the head, and `route` asks the ring for the first seat that is up.
//! 5. `pool` lends a connection to the replica in that seat, kept or fresh.
//! 6. `attempt` runs both directions at once: `upload` carries the request, `download` the reply.
//! 7. `exchange` decides what a failed attempt means: another seat, or an error reply.
//! 8. `record` writes down what came of it.
//! 9. The connection to the replica goes back to its pool; the session reads the next head.
//!
//! With `--balance connection` or `source` a whole connection goes to one seat: `blind` makes a tunnel of
//! it. No step waits for a lock, the fleet or another worker; the admin paths (`visit`), a request that
//! waits for a seat and a newcomer at the limit of connections (`slots`) do, through channels. While a replica
//! is waited for, `client_watch` notices that the client is gone. Nothing here knows how replicas are started.

mod accept;
mod access_record;
mod admin;
mod attempt;
mod attempted;
mod buffer_pool;
mod chunk_relay;
mod client_slots;
mod client_watch;
mod connection;
mod dial;
mod early_reply;
mod exchange;
mod failure;
mod fairness;
mod flow;
mod head_writer;
mod held_reply;
mod idle_clients;
mod interim;
mod keep_alive;
mod key;
mod local_notify;
mod passthrough;
mod pipe_pool;
mod private_connections;
mod request;
mod request_line;
mod request_sender;
mod request_stats;
mod response;
mod retry_budget;
mod retry_state;
mod rewrite;
mod roster_view;
mod route;
mod session;
mod stall_detector;
mod tunnel;
mod upstream;
mod worker;
mod write;

use std::time::Duration;

pub use accept::{WorkerStart, start};
pub use access_record::{AccessLogHandle, AccessRecord, RouteReason, TerminatedBy};
pub use key::{KeyRule, ParseKeyRuleError};
pub use passthrough::{BalanceMode, ParseBalanceModeError};

use crate::access::AccessPolicy;

/// How the data port behaves; the same for all workers.
#[derive(Debug)]
pub struct ProxySettings {
    /// What is balanced.
    pub balance: BalanceMode,
    /// What a request is hashed by.
    pub key: KeyRule,
    /// How often a request is sent again after it was lost.
    pub retries: u32,
    /// Whether requests go around a replica that is slow beside the others.
    pub slow_guard: bool,
    /// Who may use the admin paths here; `None` makes them ordinary paths.
    pub admin: Option<AccessPolicy>,
    /// Whether large bodies are moved through pipes (splice(2)) rather than copied.
    pub splice: bool,
    /// The name in the Via field of what is passed on; without one there is none.
    pub via: Option<String>,
    /// Where every request is written down, if anywhere.
    pub access_log: Option<AccessLogHandle>,
    /// Times and sizes.
    pub limits: ProxyLimits,
}

/// The limits of the data path.
#[derive(Clone, Copy, Debug)]
pub struct ProxyLimits {
    /// Making a connection to a replica.
    pub connect_timeout: Duration,
    /// From a head's first byte to its last, and from a connection's beginning to its first byte.
    pub head_timeout: Duration,
    /// Silence of the side that owes bytes of a body.
    pub body_timeout: Duration,
    /// From the last byte of a request written to the head of its final reply.
    pub reply_timeout: Duration,
    /// One write that makes no progress.
    pub write_timeout: Duration,
    /// A client connection between requests.
    pub idle_timeout: Duration,
    /// A client that sends nothing more, for a reply to begin, and between the pieces of a reply.
    pub half_close_grace: Duration,
    /// A tunnel in which neither side speaks.
    pub tunnel_timeout: Duration,
    /// From the word "stop" until what is still under way is cut off.
    pub drain_timeout: Duration,
    /// A request waiting for any seat to be up.
    pub seat_wait: Duration,
    /// Client connections over all workers. For one more, the longest idle one is closed; while none is
    /// idle, more wait to be accepted.
    pub max_connections: usize,
    /// Pipes that a worker may have for large bodies.
    pub pipes_per_worker: usize,
    /// Bytes of a request head.
    pub max_head: usize,
    /// Idle connections kept per worker and replica.
    pub pool_per_seat: usize,
    /// The longest that an idle connection to a replica is kept.
    pub pool_idle: Duration,
}
