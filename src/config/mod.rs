//! The command line, checked: [`Config`] has no `Option` left that means "not said". What was typed is in
//! `args`.
//!
//! A bad value ends the program with 2 before any socket opens.

mod args;
mod containers;
mod ctl;
mod heartbeat;
mod parsers;
mod replicas;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

pub use args::{Args, CliCommand, DataPortAdmin, LogFormat, ServeArgs};
pub use containers::{ContainerArgs, OnExit};
pub use ctl::CtlArgs;
pub use parsers::LogDestination;
pub use replicas::{EngineKind, ReplicaArgs, ReplicaSource};

use crate::access::AccessPolicy;
use crate::fleet;
use crate::load::LoadBound;
use crate::proxy::{self, BalanceMode};
use crate::ring;

/// What `serve` was asked for, checked.
#[derive(Debug)]
pub struct Config {
    /// Address of the data port.
    pub listen: SocketAddr,
    /// Address of the control port.
    pub control: SocketAddr,
    /// Whether to take over from the balancer that has this control port.
    pub takeover: bool,
    /// What replicas there are.
    pub replicas: ReplicaSource,
    /// Data-plane threads.
    pub workers: usize,
    /// Kind of ring.
    pub ring: ring::Spec,
    /// How far above the mean a seat's load may lie.
    pub bound: LoadBound,
    /// How the data port behaves.
    pub proxy: proxy::ProxySettings,
    /// Who may command on the control port.
    pub access: AccessPolicy,
    /// How heartbeats go; `None` when they are off.
    pub heartbeat: Option<fleet::HeartbeatSettings>,
    /// Start of a replica to its first answer.
    pub start_timeout: Duration,
    /// The longest wait for requests in flight before a replica is stopped.
    pub drain_timeout: Duration,
    /// The most replicas that `/add` may lead to.
    pub max_replicas: usize,
    /// How many more are kept warm outside the ring.
    pub standbys: usize,
    /// Where to write the two addresses.
    pub ready_file: Option<PathBuf>,
    /// Where to write a line for each request, if anywhere.
    pub access_log: Option<LogDestination>,
    /// How such lines look.
    pub access_log_format: LogFormat,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The least that is logged.
    pub log_level: tracing::Level,
}

/// Whether two sockets cannot listen on these addresses. `[::]` is all of IPv4, too (ipv6(7), IPV6_V6ONLY).
fn is_one_port(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |all: SocketAddr, one: SocketAddr| {
        all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4())
    };
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || covers(a, b) || covers(b, a))
}

impl ServeArgs {
    /// Checks what the flags say together.
    ///
    /// # Errors
    /// A sentence for whoever typed them.
    pub fn check(self) -> Result<Config, String> {
        let replicas = self.replicas.check()?;
        self.check_balance()?;
        let fixed = matches!(replicas, ReplicaSource::Fixed(_));
        self.check_ports()?;
        let heartbeat = self.heartbeat.check(fixed)?;
        let max_head = self.check_max_head()?;
        let access = AccessPolicy {
            token: self.control_token.clone(),
            hosts: self.control_hosts.as_slice().into(),
            ..AccessPolicy::default()
        };
        let admin = self.data_port_access(fixed, &access);
        let cpus = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Config {
            listen: self.listen,
            control: self.control,
            takeover: self.takeover,
            replicas,
            workers: self.workers.map_or_else(cpus, NonZeroUsize::get),
            ring: self.ring,
            bound: self.bound,
            proxy: proxy::ProxySettings {
                balance: self.balance,
                key: self.key,
                retries: self.retries,
                slow_guard: self.slow_guard,
                admin,
                splice: !self.no_splice,
                via: self.via,
                // Its writer is not running yet.
                access_log: None,
                limits: proxy::ProxyLimits {
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
                    // As many as the descriptors allow, which are counted later.
                    pipes_per_worker: 1,
                    pool_per_seat: self.pool_per_seat,
                    pool_idle: self.pool_idle,
                },
            },
            access,
            heartbeat,
            start_timeout: self.start_timeout,
            drain_timeout: self.drain_timeout,
            max_replicas: self.replicas.max_replicas,
            standbys: self.replicas.standby,
            ready_file: self.ready_file,
            access_log: self.access_log,
            access_log_format: self.access_log_format,
            log_format: self.log_format,
            log_level: self.log_level,
        })
    }

    fn check_ports(&self) -> Result<(), String> {
        let (listen, control) = (self.listen, self.control);
        if is_one_port(listen, control) {
            return Err(format!(
                "--listen {listen} and --control {control} are one port; give them two"
            ));
        }
        if self.takeover && control.port() == 0 {
            return Err("--takeover needs the port of the one that serves (--control)".to_owned());
        }
        Ok(())
    }

    /// Who may use the admin paths on the data port; `None`: they belong to the replicas.
    fn data_port_access(&self, fixed: bool, access: &AccessPolicy) -> Option<AccessPolicy> {
        if self.balance == BalanceMode::Source {
            return None;
        }
        let others = fixed || self.replicas.are_foreign();
        let door = self.data_port_admin.unwrap_or(if others {
            DataPortAdmin::Off
        } else {
            DataPortAdmin::Local
        });
        (door != DataPortAdmin::Off).then(|| AccessPolicy {
            anyone: door == DataPortAdmin::Any,
            ..access.clone()
        })
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

    /// Where nothing is read, nothing that was said can matter.
    fn check_balance(&self) -> Result<(), String> {
        if self.via.is_some() && self.balance != BalanceMode::Request {
            return Err(
                "--via goes with --balance request: otherwise no head is written here".to_owned(),
            );
        }
        if self.balance != BalanceMode::Source {
            return Ok(());
        }
        if !matches!(self.data_port_admin, None | Some(DataPortAdmin::Off)) {
            return Err(
                "--balance source goes with --data-port-admin off: no path is read".to_owned(),
            );
        }
        let key = self.key.to_string();
        if [parsers::DEFAULT_KEY, "source"].contains(&key.as_str()) {
            return Ok(());
        }
        Err(format!(
            "--key {key} does not go with --balance source: the client's address is the key"
        ))
    }
}

#[cfg(test)]
mod tests;
