//! The data port. A request's way leads down through these files:
//!
//! 1. `accept` takes a connection that `admission` allows into a slot (`client_slots`) and
//!    starts its session on this worker.
//! 2. `session` loops over the requests of a connection until close, upgrade or drain. Between two
//!    requests it waits in `keep_alive`.
//! 3. `dispatch` reads one head strictly. It computes the `key`, and `rewrite` makes the head for
//!    the replica. `rate_limit` may refuse the request.
//! 4. `exchange` serves the request. `route` asks the ring for the first seat that is up, and
//!    `connection` returns a connection to its replica (`upstream`), kept or fresh (`dial`).
//! 5. `attempt` runs both directions at once: `request_sender` sends the request, and `response`
//!    relays the reply. `early_reply`, `upgrade` and `response_body` are parts of `response`, and
//!    both directions share `progress`.
//! 6. `write`, `pipe_pool` and `tunnel` move the bytes.
//!
//! The way back: `exchange` retries a failed attempt as far as `retry_state` allows, or `outcome`
//! ends the request. The replica's connection returns to its upstream, `request_stats` fills the
//! access log's record, and the session reads the next head.
//!
//! With `--balance connection`, `source` or `sni`, `passthrough` sends a whole connection to one
//! seat as a tunnel; `server_name` reads the ClientHello of TLS. The `admin` paths end at the
//! fleet. While a replica is awaited, `client_watch` detects that the client has left.
//!
//! Imports between these files only lead down, and `worker` holds what the sessions of a thread
//! share. No step waits for a lock, the fleet or another worker, except through channels: admin
//! requests, a request without a seat, and a new client at the limit of connections. Nothing here
//! knows how replicas are started.

mod accept;
mod access_record;
mod admin;
mod admission;
mod attempt;
mod attempted;
mod buffer_pool;
mod client;
mod client_slot;
mod client_slots;
mod client_watch;
mod connection_choice;
mod dial;
mod dispatch;
mod early_reply;
mod ejection;
mod error_reply;
mod exchange;
mod fairness;
mod generated_id;
mod half_head;
mod idle_clients;
mod in_flight;
mod in_flight_limit;
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
mod proxy_protocol;
mod published;
mod rate_limit;
mod record_builder;
mod replay_memory;
mod replica_queue;
mod request;
mod request_sender;
mod request_stats;
mod response;
mod response_body;
mod response_state;
mod retry_budget;
mod retry_on;
mod retry_state;
mod reuse_policy;
mod rewrite;
mod roster_view;
mod route;
mod selection;
mod sent_proxy_header;
mod server_name;
mod session;
mod settings;
mod slow_start;
mod stall_detector;
mod tunnel;
mod upgrade;
mod upstream;
mod upstream_errors;
mod worker;
mod write;
mod young_waits;

pub use accept::{WorkerStart, start};
pub use access_record::{AccessLogHandle, AccessRecord, RequestFields, RouteReason, TerminatedBy};
pub use generated_id::{ParseRequestIdKindError, RequestIdKind};
pub use in_flight_limit::{InFlightLimits, InFlightRule};
pub use key::{KeyRule, ParseKeyRuleError};
pub use retry_on::{ParseRetryOnError, RetryOn};
pub use settings::{BalanceMode, ParseBalanceModeError, ProxyLimits, ProxySettings, ProxySource};
