//! The command line, checked: [`Config`] has no `Option` left that means "not said". What was typed is in
//! `args`.
//!
//! A bad value ends the program with 2 before any socket opens.

mod args;
mod containers;
mod ctl;
mod replicas;
mod values;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

pub use args::{Args, Command, DataPortAdmin, LogFormat, ServeArgs};
pub use containers::{ContainerArgs, OnExit};
pub use ctl::CtlArgs;
pub use replicas::{Engine, Replicas, ReplicasArgs};
pub use values::Target;

use crate::balance::Bound;
use crate::fleet;
use crate::peer::Access;
use crate::proxy::{self, Balance};
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
    pub replicas: Replicas,
    /// Data-plane threads.
    pub workers: usize,
    /// Kind of ring.
    pub ring: ring::Spec,
    /// How far above the mean a seat's load may lie; `None`: as fits the ring.
    pub bound: Option<Bound>,
    /// How the data port behaves.
    pub proxy: proxy::Settings,
    /// Who may command on the control port.
    pub access: Access,
    /// How heartbeats go; `None` when they are off.
    pub heartbeat: Option<fleet::Heartbeat>,
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
    pub access_log: Option<Target>,
    /// How such lines look.
    pub access_log_format: LogFormat,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The least that is logged.
    pub log_level: tracing::Level,
}

/// The bound when none is given and it does not follow from the ring.
fn blind_bound(balance: Balance) -> Option<Bound> {
    match balance {
        // Whoever balances by address counts on it that an address keeps its server.
        Balance::Source => Some(Bound::OFF),
        _ => None,
    }
}

impl ServeArgs {
    /// Checks what the flags say together.
    ///
    /// # Errors
    /// A sentence for whoever typed them.
    pub fn check(self) -> Result<Config, String> {
        let replicas = self.replicas.check()?;
        self.check_balance()?;
        let fixed = matches!(replicas, Replicas::Fixed(_));
        if self.heartbeat_interval.is_zero() && !fixed {
            return Err("--heartbeat-interval 0s needs --engine fixed".to_owned());
        }
        if self.takeover && self.control.port() == 0 {
            return Err("--takeover needs the port of the one that serves (--control)".to_owned());
        }
        let max_head = self.check_max_head()?;
        let admin = self.data_port_access(fixed);
        let cpus = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Config {
            listen: self.listen,
            control: self.control,
            takeover: self.takeover,
            replicas,
            workers: self.workers.map_or_else(cpus, NonZeroUsize::get),
            ring: self.ring,
            bound: self.bound.or(blind_bound(self.balance)),
            proxy: proxy::Settings {
                balance: self.balance,
                key: self.key,
                retries: self.retries,
                admin,
                splice: !self.no_splice,
                // Its writer is not running yet.
                access_log: None,
                limits: proxy::Limits {
                    connect_timeout: self.connect_timeout,
                    head_timeout: self.head_timeout,
                    body_timeout: self.body_timeout,
                    reply_timeout: self.reply_timeout,
                    write_timeout: self.write_timeout,
                    idle_timeout: self.idle_timeout,
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
            access: Access {
                token: self.control_token,
                anyone: false,
                gateway: None,
            },
            heartbeat: (!self.heartbeat_interval.is_zero()).then_some(fleet::Heartbeat {
                interval: self.heartbeat_interval,
                timeout: self.heartbeat_timeout,
                misses: self.heartbeat_misses.get(),
                ask: self.heartbeat_path,
            }),
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

    /// Who may use the admin paths on the data port; `None`: they belong to the replicas.
    fn data_port_access(&self, fixed: bool) -> Option<Access> {
        if self.balance == Balance::Source {
            return None;
        }
        let others = fixed || self.replicas.are_foreign();
        let door = self.data_port_admin.unwrap_or(if others {
            DataPortAdmin::Off
        } else {
            DataPortAdmin::Local
        });
        (door != DataPortAdmin::Off).then(|| Access {
            token: self.control_token.clone(),
            anyone: door == DataPortAdmin::Any,
            gateway: None,
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
        if self.balance != Balance::Source {
            return Ok(());
        }
        if !matches!(self.data_port_admin, None | Some(DataPortAdmin::Off)) {
            return Err(
                "--balance source goes with --data-port-admin off: no path is read".to_owned(),
            );
        }
        let key = self.key.to_string();
        if [values::DEFAULT_KEY, "source"].contains(&key.as_str()) {
            return Ok(());
        }
        Err(format!(
            "--key {key} does not go with --balance source: the client's address is the key"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Containers, Image};
    use clap::Parser as _;

    fn check(flags: &[&str]) -> Result<Config, String> {
        let args = ["ringmaster", "serve"].iter().chain(flags);
        let args = Args::try_parse_from(args).map_err(|err| err.to_string())?;
        match args.command {
            Command::Serve(serve) => serve.check(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = check(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:5000");
        assert_eq!(config.control.to_string(), "127.0.0.1:5001");
        let processes = fleet::Processes {
            count: 3,
            command: None,
            env: Vec::new(),
        };
        assert_eq!(config.replicas, Replicas::Process(processes));
        assert_eq!(
            config.proxy.key.to_string(),
            "header:x-request-id,query:id,random"
        );
        assert_eq!(config.proxy.balance, Balance::Request);
        assert_eq!(config.proxy.limits.max_head, 16 * 1024);
        assert_eq!(
            config.proxy.limits.tunnel_timeout,
            Duration::from_secs(3600)
        );
        assert_eq!(
            config.heartbeat.unwrap().interval,
            Duration::from_millis(250)
        );
        assert!(config.proxy.admin.is_some_and(|access| !access.anyone));
    }

    #[test]
    fn there_is_no_bound_where_it_would_surprise_unless_one_is_given() {
        for (flags, bound) in [
            (&[][..], "1.03"),
            (&["--bound", "0"], "0"),
            (&["--bound", "1.25"], "1.25"),
            (&["--ring", "classic"], "0"),
            (&["--ring", "classic", "--bound", "1.1"], "1.1"),
            (&["--balance", "source"], "0"),
            (&["--balance", "source", "--bound", "1.5"], "1.5"),
        ] {
            let config = check(flags).unwrap();
            let fit = Bound::fit_for(&config.ring);
            assert_eq!(config.bound.unwrap_or(fit).to_string(), bound, "{flags:?}");
        }
    }

    #[test]
    fn backends_imply_the_fixed_engine_and_keep_their_own_admin_paths() {
        let config = check(&["--backend", "a=127.0.0.1:1", "--backend", "b=[::1]:2"]).unwrap();
        let Replicas::Fixed(backends) = config.replicas else {
            panic!("not fixed")
        };
        assert_eq!(backends[1].1, "[::1]:2");
        assert!(config.proxy.admin.is_none());
    }

    #[test]
    fn where_nothing_is_read_there_are_no_admin_paths() {
        assert!(
            check(&["--balance", "source"])
                .unwrap()
                .proxy
                .admin
                .is_none()
        );
        let config = check(&["--balance", "connection"]).unwrap();
        assert!(config.proxy.admin.is_some());
        check(&[
            "--balance",
            "source",
            "--key",
            "source",
            "--data-port-admin",
            "off",
        ])
        .unwrap();
    }

    #[test]
    fn containers_are_asked_for_with_their_defaults() {
        let config = check(&["--engine", "docker"]).unwrap();
        assert!(config.proxy.admin.is_some(), "the replicas are ours");
        let Replicas::Docker(containers) = config.replicas else {
            panic!("not docker")
        };
        let expected = Containers {
            count: 3,
            image: Image::Own,
            port: 5000,
            env: Vec::new(),
            memory: 64 * 1024 * 1024,
            nano_cpus: None,
            network: None,
            fleet: "ringmaster".to_owned(),
            keep: false,
            trust_gateway: false,
        };
        assert_eq!(containers, expected);
        let flags = [
            "--engine",
            "docker",
            "--image",
            "x",
            "--replica-cpus",
            "1.5",
        ];
        let config = check(&flags).unwrap();
        assert!(config.proxy.admin.is_none(), "their /add is theirs");
        match config.replicas {
            Replicas::Docker(own) => assert_eq!(own.nano_cpus, Some(1_500_000_000)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_that_do_not_go_together_are_refused() {
        for (flags, sentence) in [
            (&["--heartbeat-interval", "0s"][..], "needs --engine fixed"),
            (&["--engine", "fixed"], "needs --backend"),
            (
                &["--engine", "process", "--backend", "a=b:1"],
                "goes with --engine fixed",
            ),
            (&["--backend", "a=b:1", "--backend", "a=c:1"], "given twice"),
            (&["--backend", "a=b"], "not HOST:PORT"),
            (&["--backend", "a"], "not NAME=ADDR"),
            (&["--backend", "a b=c:1"], "not a legal replica name"),
            (&["--max-head", "1023"], "not between"),
            (&["--max-head", "1048577"], "not between"),
            (&["--replicas", "257"], "more than --max-replicas"),
            (
                &["--takeover", "--control", "127.0.0.1:0"],
                "needs the port of the one that serves",
            ),
            (&["--standby", "257"], "more than --max-replicas"),
            (
                &["--standby", "1", "--backend", "a=b:1"],
                "goes with --engine process or docker",
            ),
            (&["--head-timeout", "0s"], "longer than 0s"),
            (&["--idle-timeout", "2y"], "longer than 366 days"),
            (&["--pool-idle", "367days"], "longer than 366 days"),
            (&["--head-timeout", "10"], "invalid value"),
            (&["--ring", "square"], "unknown ring"),
            (&["--bound", "1"], "'1' is no bound: it must be above 1"),
            (&["--bound", "-2"], "'-2' is no bound"),
            (&["--bound", "inf"], "no bound"),
            (&["--bound", "NaN"], "no bound"),
            (&["--bound", ""], "no bound"),
            (&["--key", "random,path"], "at the end"),
            (&["--heartbeat-path", "x"], "must be tcp, or begin with /"),
            (&["--workers", "0"], "invalid value"),
            (
                &["--replica-env", "A=B", "--backend", "a=b:1"],
                "--replica-env goes with --engine process or docker",
            ),
            (&["--image", "a"], "--image goes with --engine docker"),
            (
                &["--on-exit", "keep"],
                "--on-exit keep goes with --engine docker",
            ),
            (&["--trust-gateway"], "goes with --engine docker"),
            (
                &["--engine", "docker", "--backend", "a=b:1"],
                "goes with --engine fixed",
            ),
            (
                &["--engine", "docker", "--replica-memory", "5MiB"],
                "less than 6MiB",
            ),
            (&["--replica-env", "SERVER_ID=1"], "set for each replica"),
            (&["--replica-env", "PORT=1"], "set for each replica"),
            (&["--replica-command", ""], "must not be empty"),
            (
                &["--engine", "docker", "--replica-command", "x"],
                "goes with --engine process",
            ),
            (&["--replica-env", "A"], "not K=V"),
            (&["--replica-cpus", "0.001"], "at least 0.01"),
            (&["--replica-port", "0"], "invalid value"),
            (&["--fleet", "a b"], "not a legal"),
            (&["--balance", "url"], "not request, connection or source"),
            (
                &["--balance", "source", "--key", "path"],
                "address is the key",
            ),
            (
                &["--balance", "source", "--data-port-admin", "any"],
                "goes with --data-port-admin off",
            ),
        ] {
            let refused = check(flags).unwrap_err();
            assert!(refused.contains(sentence), "{flags:?}: {refused}");
        }
    }
}
