//! Flags of `serve` as typed. Every flag can also be set by a `RINGMASTER_…` environment variable.
//!
//! The value of each flag is parsed here; combinations of flags are checked in the folder's `mod`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, ValueEnum};

use super::clients::ClientArgs;
use super::control_token::TokenArgs;
use super::failures::{FailureArgs, InFlightArgs};
use super::heartbeat::HeartbeatArgs;
use super::listen::{ListenOn, listen_on};
use super::log::LogArgs;
use super::parsers::{
    DEFAULT_KEY, DEFAULT_MAX_CONNECTIONS, LogDestination, duration, log_destination,
    positive_count, positive_duration, proxy_source, via_name,
};
use super::replicas::ReplicaArgs;
use super::sandbox::SandboxArgs;
use crate::access::HostName;
use crate::proxy::{BalanceMode, KeyRule, ProxySource, RequestIdKind};
use crate::ring;
use crate::wire::proxy_header::SentProxyHeader;

/// Clients that may use /rep, /add and /rm on the data port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataPortAdmin {
    /// Clients on this machine, and clients that send the token.
    Local,
    /// No client: the paths belong to the replicas.
    Off,
    /// Any client.
    Any,
}

/// Format of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessLogFormat {
    /// Names and values for people.
    Text,
    /// A JSON object per line.
    Json,
    /// Combined log format of Apache and nginx.
    Combined,
}

/// Flags of `serve`. Durations take units (`250ms`, `10s`), sizes too (`16KiB`).
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct ServeArgs {
    #[arg(
        long,
        env = "RINGMASTER_CONFIG",
        value_name = "PATH",
        help = "Configuration file in TOML: names of flags without dashes, and values; flags and variables win over it"
    )]
    pub config: Option<PathBuf>,
    #[arg(
        long,
        env = "RINGMASTER_LISTEN",
        default_value = "0.0.0.0:5000",
        value_parser = listen_on,
        help = "Address of the data port; the system chooses a port for 0. In its place, or behind a blank: unix:PATH[,mode=0660][,owner=USER[:GROUP]]"
    )]
    pub listen: ListenOn,
    #[arg(
        long,
        env = "RINGMASTER_CONTROL",
        default_value = "127.0.0.1:5001",
        value_parser = listen_on,
        help = "Address of the control port. In its place, or behind a blank: unix:PATH[,mode=0600][,owner=USER[:GROUP]], whose clients may command without a token"
    )]
    pub control: ListenOn,
    #[arg(
        long,
        env = "RINGMASTER_TAKEOVER",
        value_parser = BoolishValueParser::new(),
        help = "Take over sockets and replicas from the balancer with this control port, if one runs"
    )]
    pub takeover: bool,
    #[command(flatten)]
    pub replicas: ReplicaArgs,
    #[arg(
        long,
        env = "RINGMASTER_WORKERS",
        value_parser = positive_count::<NonZeroUsize>,
        help = "Data-plane threads [default: number of usable CPUs]"
    )]
    pub workers: Option<NonZeroUsize>,
    #[arg(
        long,
        env = "RINGMASTER_BALANCE",
        default_value = "request",
        help = "Unit of balancing: each request, each connection, each source address, or each TLS server name (sni)"
    )]
    pub balance: BalanceMode,
    #[arg(
        long,
        env = "RINGMASTER_KEY",
        default_value = DEFAULT_KEY,
        help = "Sources of the request ID; the first that a request has is hashed"
    )]
    pub key: KeyRule,
    #[arg(
        long,
        env = "RINGMASTER_ACCEPT_PROXY",
        value_name = "CIDR|unix",
        value_delimiter = ',',
        value_parser = proxy_source,
        help = "Networks of proxies whose connections begin with a PROXY header, version 1 or 2, which names their client; unix: those at the Unix socket; repeatable"
    )]
    pub accept_proxy: Vec<ProxySource>,
    #[command(flatten)]
    pub clients: ClientArgs,
    #[arg(
        long,
        env = "RINGMASTER_SEND_PROXY",
        value_name = "v1|v2[,…]",
        help = "Begin each connection to a replica with a PROXY header of this version, which names the client; v2,crc32c,unique-id adds a checksum and an ID of the connection; with --balance connection, source or sni"
    )]
    pub send_proxy: Option<SentProxyHeader>,
    #[arg(
        long,
        env = "RINGMASTER_REQUEST_ID",
        value_name = "KIND",
        default_value_t = RequestIdKind::Digits,
        help = "Request ID that is generated for a request whose key comes from random: digits (six), or uuid (version 7)"
    )]
    pub request_id: RequestIdKind,
    #[arg(
        long,
        env = "RINGMASTER_RING",
        default_value = "uniform",
        help = "Kind of ring: uniform, classic, classic-brief, rendezvous, maglev, jump, or classic with own functions: classic:h=EXPR,phi=EXPR,slots=M,vnodes=K,probe=linear|quadratic"
    )]
    pub ring: ring::Spec,
    #[arg(
        long,
        env = "RINGMASTER_BOUND",
        value_name = "X",
        default_value = "0",
        allow_negative_numbers = true,
        help = "Largest load of a replica relative to the mean, such as 1.03; requests above it leave their home replica; 0: no bound"
    )]
    pub bound: crate::load::LoadBound,
    #[arg(
        long,
        env = "RINGMASTER_SLOW_GUARD",
        value_name = "on|off",
        default_value = "on",
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        hide_possible_values = true,
        help = "Divert requests from a replica that answers far later than the others, until it recovers"
    )]
    pub slow_guard: bool,
    #[command(flatten)]
    pub failures: FailureArgs,
    #[command(flatten)]
    pub in_flight: InFlightArgs,
    #[arg(long, env = "RINGMASTER_CONNECT_TIMEOUT", default_value = "4s", value_parser = positive_duration, help = "Time limit to connect to a replica; the kernel repeats a lost SYN after 1 s and 3 s")]
    pub connect_timeout: Duration,
    #[arg(long, env = "RINGMASTER_HEAD_TIMEOUT", default_value = "10s", value_parser = positive_duration, help = "Time limit from the first byte of a request to the end of its head, and from a new connection to its first byte")]
    pub head_timeout: Duration,
    #[arg(long, env = "RINGMASTER_BODY_TIMEOUT", default_value = "60s", value_parser = positive_duration, help = "Longest silence of the sender within a body")]
    pub body_timeout: Duration,
    #[arg(long, env = "RINGMASTER_REPLY_TIMEOUT", default_value = "30s", value_parser = positive_duration, help = "Time limit from the last byte of a request to the head of its reply")]
    pub reply_timeout: Duration,
    #[arg(long, env = "RINGMASTER_WRITE_TIMEOUT", default_value = "30s", value_parser = positive_duration, help = "Time limit for a write without progress")]
    pub write_timeout: Duration,
    #[arg(long, env = "RINGMASTER_IDLE_TIMEOUT", default_value = "60s", value_parser = positive_duration, help = "Time limit of a client connection between requests")]
    pub idle_timeout: Duration,
    #[arg(long, env = "RINGMASTER_HALF_CLOSE_GRACE", default_value = "1s", value_parser = duration, help = "After a client has half-closed: time limit for the reply to start and between its parts")]
    pub half_close_grace: Duration,
    #[arg(long, env = "RINGMASTER_TUNNEL_TIMEOUT", default_value = "1h", value_parser = positive_duration, help = "Longest silence of both sides of a tunnel")]
    pub tunnel_timeout: Duration,
    #[arg(long, env = "RINGMASTER_DRAIN_TIMEOUT", default_value = "10s", value_parser = duration, help = "Time limit for requests in flight before a stop")]
    pub drain_timeout: Duration,
    #[arg(long, env = "RINGMASTER_LAME_DUCK", default_value = "0s", value_parser = duration, help = "At a stop: time in which /readyz is 503 and the data port still accepts clients")]
    pub lame_duck: Duration,
    #[arg(long, env = "RINGMASTER_SEAT_WAIT", default_value = "2s", value_parser = duration, help = "Time limit for a request to wait until a replica is up")]
    pub seat_wait: Duration,
    #[arg(long, env = "RINGMASTER_START_TIMEOUT", default_value = "10s", value_parser = positive_duration, help = "Time limit from the start of a replica to its first answer")]
    pub start_timeout: Duration,
    #[command(flatten)]
    pub heartbeat: HeartbeatArgs,
    #[arg(
        long,
        env = "RINGMASTER_MAX_CONNECTIONS",
        default_value_t = DEFAULT_MAX_CONNECTIONS,
        value_parser = positive_count::<NonZeroUsize>,
        help = "Limit of client connections; a further client takes the place of the longest idle one"
    )]
    pub max_connections: NonZeroUsize,
    #[arg(
        long,
        env = "RINGMASTER_MAX_HEAD",
        default_value = "16KiB",
        help = "Longest request head, 1KiB to 1MiB"
    )]
    pub max_head: ByteSize,
    #[arg(
        long,
        env = "RINGMASTER_POOL_PER_SEAT",
        default_value_t = 64,
        help = "Idle connections kept per worker and replica"
    )]
    pub pool_per_seat: usize,
    #[arg(long, env = "RINGMASTER_POOL_IDLE", default_value = "4s", value_parser = duration, help = "Time to keep an idle connection to a replica")]
    pub pool_idle: Duration,
    #[arg(
        long,
        env = "RINGMASTER_NO_SPLICE",
        value_parser = BoolishValueParser::new(),
        help = "Copy large bodies instead of splicing them through pipes"
    )]
    pub no_splice: bool,
    #[arg(
        long,
        env = "RINGMASTER_VIA",
        value_name = "NAME",
        value_parser = via_name,
        help = "Name in a Via field added to forwarded messages [default: no field]"
    )]
    pub via: Option<String>,
    #[arg(
        long,
        env = "RINGMASTER_DATA_PORT_ADMIN",
        help = "Clients that may use /rep, /add and /rm on the data port [default: local; off with --backend, --image or --replica-command]"
    )]
    pub data_port_admin: Option<DataPortAdmin>,
    #[command(flatten)]
    pub token: TokenArgs,
    #[arg(long, env = "RINGMASTER_REQUIRE_TOKEN", value_parser = BoolishValueParser::new(), help = "Require the token of every client, those on this machine too; only clients of the control port's Unix socket need none")]
    pub require_token: bool,
    #[command(flatten)]
    pub sandbox: SandboxArgs,
    #[arg(
        long = "control-host",
        env = "RINGMASTER_CONTROL_HOST",
        value_delimiter = ',',
        value_name = "NAME",
        help = "Additional name accepted in the Host field of the control port, besides localhost and IP addresses; repeatable"
    )]
    pub control_hosts: Vec<HostName>,
    #[arg(
        long,
        env = "RINGMASTER_READY_FILE",
        value_name = "PATH",
        help = "File written once all replicas have answered: both addresses in JSON"
    )]
    pub ready_file: Option<PathBuf>,
    #[arg(long, env = "RINGMASTER_ACCESS_LOG", value_name = "PATH", value_parser = log_destination, help = "Access log with one line per request; - for standard output; SIGHUP reopens a file")]
    pub access_log: Option<LogDestination>,
    #[arg(
        long,
        env = "RINGMASTER_ACCESS_LOG_FORMAT",
        default_value = "text",
        help = "Format of the access log: combined is that of Apache and nginx"
    )]
    pub access_log_format: AccessLogFormat,
    #[arg(
        long,
        env = "RINGMASTER_ACCESS_LOG_QUERY",
        value_parser = BoolishValueParser::new(),
        help = "Log queries too; they may hold secrets"
    )]
    pub access_log_query: bool,
    #[command(flatten)]
    pub log: LogArgs,
}
