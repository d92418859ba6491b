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
mod client;
mod client_slots;
mod client_watch;
mod connection;
mod dial;
mod dispatch;
mod early_reply;
mod error_reply;
mod exchange;
mod fairness;
mod idle_clients;
mod in_flight;
mod interim;
mod keep_alive;
mod key;
mod local_notify;
mod low_mark;
mod outcome;
mod passthrough;
mod pipe_pool;
mod private_connection;
mod private_slots;
mod progress;
mod record_builder;
mod request;
mod request_sender;
mod request_stats;
mod response;
mod response_body;
mod response_state;
mod retry_budget;
mod retry_state;
mod rewrite;
mod roster_view;
mod route;
mod session;
mod settings;
mod stall_detector;
mod tunnel;
mod upstream;
mod worker;
mod write;
mod young_waits;

pub use accept::{WorkerStart, start};
pub use access_record::{AccessLogHandle, AccessRecord, RouteReason, TerminatedBy};
pub use key::{KeyRule, ParseKeyRuleError};
pub use settings::{BalanceMode, ParseBalanceModeError, ProxyLimits, ProxySettings};
