//! Checked configuration: [`Config`] has no `Option` left that means "not given". The command line
//! as typed is in `cli` and `args`.
//!
//! A bad value exits with 2 before any socket opens.

mod args;
mod balance;
mod cli;
mod clients;
mod container_options;
mod containers;
mod control_addrs;
mod control_token;
mod ctl;
mod engine_proxy;
mod environment;
mod failures;
mod file;
mod file_flags;
mod fixed_backends;
mod heartbeat;
mod listen;
mod log;
mod parser_error;
mod parsers;
mod replicas;
mod sandbox;
mod sources;
mod swarm;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

pub use args::{AccessLogFormat, DataPortAdmin, ServeArgs};
pub use cli::{Args, CliCommand};
pub use clients::ClientArgs;
pub use containers::{ContainerArgs, OnExit};
pub use control_addrs::ControlAddrs;
pub use control_token::TokenArgs;
pub use ctl::CtlArgs;
pub use engine_proxy::EngineProxyConfig;
pub(crate) use environment::warnings;
pub use failures::{FailureArgs, InFlightArgs};
pub use file::MAX_CONFIG_FILE;
pub use fixed_backends::{FixedArgs, FixedBackends};
pub use listen::ListenOn;
use listen::is_one_port;
pub use log::{LogArgs, LogFormat};
pub use parsers::{DEFAULT_MAX_CONNECTIONS, LogDestination};
pub use replicas::{EngineKind, ReplicaArgs, ReplicaSource};
pub use sandbox::{SandboxArgs, SandboxMode};
pub use swarm::SwarmArgs;

use crate::access::{AccessPolicy, LocalTokenRule};
use crate::fleet;
use crate::load::LoadBound;
use crate::proxy;
use crate::ring;

/// Checked configuration of `serve`.
#[derive(Debug)]
pub struct Config {
    /// Sockets of the data port.
    pub listen: ListenOn,
    /// Sockets of the control port.
    pub control: ListenOn,
    /// `true` to take over from the balancer with this control port.
    pub takeover: bool,
    /// Kind and number of the replicas.
    pub replicas: ReplicaSource,
    /// Number of data-plane threads.
    pub workers: usize,
    /// Kind of ring.
    pub ring: ring::Spec,
    /// Bound of a seat's load above the mean.
    pub bound: LoadBound,
    /// Settings of the data port.
    pub proxy: proxy::ProxySettings,
    /// Access policy of the control port.
    pub access: AccessPolicy,
    /// Sandbox of the workers and the control port.
    pub sandbox: SandboxMode,
    /// Heartbeat settings; `None` turns heartbeats off.
    pub heartbeat: Option<fleet::HeartbeatSettings>,
    /// Time limit from the start of a replica to its first answer.
    pub start_timeout: Duration,
    /// Time limit for requests in flight before a replica is stopped.
    pub drain_timeout: Duration,
    /// Times of a stop.
    pub stop: StopTimes,
    /// Time within which a replica that joins comes to take all keys of its seat; 0 for at once.
    pub slow_start: Duration,
    /// Largest number of replicas that `/add` may lead to.
    pub max_replicas: usize,
    /// Names of the first replicas.
    pub names: fleet::NamePattern,
    /// Number of additional replicas kept warm outside the ring.
    pub standbys: usize,
    /// Ready file for both addresses.
    pub ready_file: Option<PathBuf>,
    /// Access log.
    pub access_log: Option<AccessLogSettings>,
    /// Format of log lines.
    pub log_format: LogFormat,
    /// Lowest level that is logged.
    pub log_level: tracing::Level,
}

/// Least default of the time that a replica has to end after a drain that was cut short.
const MIN_STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Times of a stop.
#[derive(Clone, Copy, Debug)]
pub struct StopTimes {
    /// Time in which `/readyz` is 503 and the data port still accepts clients.
    pub lame_duck: Duration,
    /// Time between the signal that ends a replica and its kill.
    pub replica: Duration,
}

/// Settings of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Destination of its lines.
    pub target: LogDestination,
    /// Format of a line.
    pub format: AccessLogFormat,
    /// `true` if lines have the query.
    pub with_query: bool,
}

impl ServeArgs {
    /// Checks the combination of the flags.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn check(self) -> Result<Config, String> {
        let (stop_timeout, access_log) = (self.stop_timeout(), self.access_log_settings());
        let replicas = self.replicas.check(stop_timeout)?;
        if let ReplicaSource::Fixed(fixed) = &replicas {
            fixed.check_ring(&self.ring)?;
        }
        self.check_balance()?;
        self.check_ports()?;
        let fixed = matches!(replicas, ReplicaSource::Fixed(_));
        let swarm = matches!(replicas, ReplicaSource::Swarm(_));
        if self.takeover && swarm {
            let sentence =
                "--takeover does not go with --engine swarm: the swarm replaces balancers";
            return Err(sentence.to_owned());
        }
        self.check_send_proxy(fixed || swarm)?;
        let heartbeat = self.heartbeat.check(fixed, self.send_proxy)?;
        let limits = self.limits(self.check_max_head()?);
        let access = self.control_access()?;
        let admin = self.data_port_access(fixed, &access);
        Ok(Config {
            listen: self.listen,
            control: self.control,
            takeover: self.takeover,
            replicas,
            workers: self
                .workers
                .or(available_parallelism().ok())
                .map_or(1, NonZeroUsize::get),
            ring: self.ring,
            bound: self.bound,
            proxy: proxy::ProxySettings {
                balance: self.balance,
                key: self.key.with_ids(self.request_id),
                accept_proxy: self.accept_proxy,
                clients: Arc::new(self.clients.check()?),
                send_proxy: self.send_proxy,
                retries: self.failures.retries,
                retry_on: self.failures.retry_on.unwrap_or_default(),
                eject: self.failures.eject_5xx,
                slow_guard: self.slow_guard,
                in_flight: self.in_flight.check()?,
                admin,
                splice: !self.no_splice,
                via: self.via,
                // The log's writer does not run yet.
                access_log: None,
                limits,
            },
            access,
            sandbox: self.sandbox.sandbox,
            heartbeat,
            start_timeout: self.start_timeout,
            drain_timeout: self.drain_timeout,
            stop: StopTimes {
                lame_duck: self.lame_duck,
                replica: stop_timeout,
            },
            slow_start: self.replicas.slow_start,
            max_replicas: self.replicas.max_replicas,
            standbys: self.replicas.standby,
            names: self.replicas.name_pattern.unwrap_or_default(),
            ready_file: self.ready_file,
            access_log,
            log_format: self.log.log_format,
            log_level: self.log.log_level,
        })
    }

    /// Access policy of the control port.
    fn control_access(&self) -> Result<AccessPolicy, String> {
        let token = self.token.check()?;
        if self.require_token && token.is_none() {
            return Err("--require-token needs --control-token".to_owned());
        }
        if self.require_token && self.data_port_admin == Some(DataPortAdmin::Any) {
            return Err(
                "--require-token does not go with --data-port-admin any, which lets every client command without a token"
                    .to_owned(),
            );
        }
        Ok(AccessPolicy {
            token,
            local_token: match self.require_token {
                true => LocalTokenRule::Tcp,
                false => LocalTokenRule::None,
            },
            hosts: self.control_hosts.as_slice().into(),
            ..AccessPolicy::default()
        })
    }

    fn access_log_settings(&self) -> Option<AccessLogSettings> {
        let target = self.access_log.clone();
        target.map(|target| AccessLogSettings {
            target,
            format: self.access_log_format,
            with_query: self.access_log_query,
        })
    }

    /// Returns the time between the signal that ends a replica and its kill.
    fn stop_timeout(&self) -> Duration {
        let stop_timeout = self.replicas.replica_stop_timeout;
        stop_timeout.unwrap_or(self.drain_timeout.max(MIN_STOP_TIMEOUT))
    }

    fn check_ports(&self) -> Result<(), String> {
        let (listen, control) = (self.listen, self.control);
        let paths = listen.unix.zip(control.unix);
        let is_one_path = paths.is_some_and(|(ours, other)| ours.path.is_same_file(&other.path));
        let ports = listen.tcp.zip(control.tcp);
        if is_one_path || ports.is_some_and(|(listen, control)| is_one_port(listen, control)) {
            return Err(format!(
                "--listen {listen} and --control {control} are one port; give them two"
            ));
        }
        if self.accept_proxy.contains(&proxy::ProxySource::Unix) && listen.unix.is_none() {
            return Err("--accept-proxy unix needs --listen unix:PATH".to_owned());
        }
        if self.takeover && control.tcp.is_some_and(|tcp| tcp.port() == 0) {
            return Err("--takeover needs the port of the one that serves (--control)".to_owned());
        }
        Ok(())
    }

    fn limits(&self, max_head: usize) -> proxy::ProxyLimits {
        proxy::ProxyLimits {
            connect_timeout: self.connect_timeout,
            head_timeout: self.head_timeout,
            body_timeout: self.body_timeout,
            reply_timeout: self.reply_timeout,
            write_timeout: self.write_timeout,
            idle_timeout: self.idle_timeout,
            half_close_grace: self.half_close_grace,
            tunnel_timeout: self.tunnel_timeout,
            drain_timeout: self.drain_timeout,
            seat_wait: self.seat_wait,
            max_connections: self.max_connections.get(),
            max_head,
            // Unlimited here; start-up lowers it to what the descriptor limit allows.
            pipes_per_worker: 1,
            pool_per_seat: self.pool_per_seat,
            pool_idle: self.pool_idle,
        }
    }

    fn check_max_head(&self) -> Result<usize, String> {
        let max_head = usize::try_from(self.max_head.as_u64()).unwrap_or(usize::MAX);
        if !(1024..=1024 * 1024).contains(&max_head) {
            return Err(format!(
                "--max-head {} is not between 1KiB and 1MiB",
                self.max_head
            ));
        }
        Ok(max_head)
    }
}

#[cfg(test)]
mod tests;
