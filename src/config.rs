//! The command line: [`Args`] is what was typed (or stands in a `RINGMASTER_…` variable), [`Config`] what
//! was checked, with no `Option` left that means "not said".
//!
//! A bad value ends the program with 2 before any socket opens.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Parser, Subcommand, ValueEnum};

use crate::fleet;
use crate::peer::{Access, Token};
use crate::proxy::{self, KeyRule};
use crate::ring;
use crate::roster::ReplicaName;

/// A layer-4 TCP proxy balancer that keeps its own replicas alive.
#[derive(Debug, Parser)]
#[command(name = "ringmaster", version, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Balance requests over replicas, and keep the replicas alive.
    Serve(Box<ServeArgs>),
}

/// How replicas are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Child processes of this program.
    Process,
    /// Fixed addresses, neither started nor stopped.
    Fixed,
}

/// Who may use /rep, /add and /rm on the data port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataPortAdmin {
    /// Clients on this machine, and whoever shows the token.
    Local,
    /// Nobody: the paths belong to the replicas.
    Off,
    /// Anybody.
    Any,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For eyes.
    Text,
    /// One JSON object a line.
    Json,
}

/// Flags of `serve`. Durations take units (`250ms`, `10s`), sizes too (`16KiB`).
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct ServeArgs {
    #[arg(
        long,
        env = "RINGMASTER_LISTEN",
        default_value = "0.0.0.0:5000",
        help = "Address of the data port; port 0 is chosen by the system"
    )]
    pub listen: SocketAddr,
    #[arg(
        long,
        env = "RINGMASTER_CONTROL",
        default_value = "127.0.0.1:5001",
        help = "Address of the control port"
    )]
    pub control: SocketAddr,
    #[arg(
        long,
        env = "RINGMASTER_ENGINE",
        help = "How replicas are started [default: process, or fixed with --backend]"
    )]
    pub engine: Option<Engine>,
    #[arg(
        long,
        env = "RINGMASTER_REPLICAS",
        default_value_t = 3,
        help = "Replicas to start"
    )]
    pub replicas: usize,
    #[arg(
        long = "backend",
        env = "RINGMASTER_BACKEND",
        value_delimiter = ',',
        value_name = "NAME=ADDR",
        help = "A fixed replica; repeatable, implies --engine fixed"
    )]
    pub backends: Vec<String>,
    #[arg(
        long,
        env = "RINGMASTER_WORKERS",
        help = "Data-plane threads [default: the CPUs we may use]"
    )]
    pub workers: Option<NonZeroUsize>,
    #[arg(
        long,
        env = "RINGMASTER_KEY",
        default_value = "header:x-request-id,query:id,random",
        help = "What requests are hashed by: the first source that a request has"
    )]
    pub key: KeyRule,
    #[arg(
        long,
        env = "RINGMASTER_RING",
        default_value = "uniform",
        help = "Kind of ring: uniform or classic"
    )]
    pub ring: ring::Spec,
    #[arg(
        long,
        env = "RINGMASTER_RETRIES",
        default_value_t = 2,
        help = "How often a lost idempotent request is sent again"
    )]
    pub retries: u32,
    #[arg(long, env = "RINGMASTER_CONNECT_TIMEOUT", default_value = "1s", value_parser = positive, help = "Making a connection to a replica")]
    pub connect_timeout: Duration,
    #[arg(long, env = "RINGMASTER_HEAD_TIMEOUT", default_value = "10s", value_parser = positive, help = "First byte of a request to the end of its head")]
    pub head_timeout: Duration,
    #[arg(long, env = "RINGMASTER_BODY_TIMEOUT", default_value = "60s", value_parser = positive, help = "Silence of the side that owes bytes of a body")]
    pub body_timeout: Duration,
    #[arg(long, env = "RINGMASTER_REPLY_TIMEOUT", default_value = "30s", value_parser = positive, help = "Last byte of a request to the head of its reply")]
    pub reply_timeout: Duration,
    #[arg(long, env = "RINGMASTER_WRITE_TIMEOUT", default_value = "30s", value_parser = positive, help = "One write that makes no progress")]
    pub write_timeout: Duration,
    #[arg(long, env = "RINGMASTER_IDLE_TIMEOUT", default_value = "60s", value_parser = positive, help = "A client connection between requests")]
    pub idle_timeout: Duration,
    #[arg(long, env = "RINGMASTER_TUNNEL_TIMEOUT", default_value = "1h", value_parser = positive, help = "A tunnel in which neither side speaks")]
    pub tunnel_timeout: Duration,
    #[arg(long, env = "RINGMASTER_DRAIN_TIMEOUT", default_value = "10s", value_parser = humantime::parse_duration, help = "The longest wait for requests in flight before a stop")]
    pub drain_timeout: Duration,
    #[arg(long, env = "RINGMASTER_SEAT_WAIT", default_value = "2s", value_parser = humantime::parse_duration, help = "The longest wait of a request for any replica to be up")]
    pub seat_wait: Duration,
    #[arg(long, env = "RINGMASTER_START_TIMEOUT", default_value = "10s", value_parser = positive, help = "Start of a replica to its first answer")]
    pub start_timeout: Duration,
    #[arg(long, env = "RINGMASTER_HEARTBEAT_INTERVAL", default_value = "250ms", value_parser = humantime::parse_duration, help = "Between heartbeats; 0s (fixed engine only) turns them off")]
    pub heartbeat_interval: Duration,
    #[arg(long, env = "RINGMASTER_HEARTBEAT_TIMEOUT", default_value = "200ms", value_parser = positive, help = "An unanswered heartbeat is a miss after this")]
    pub heartbeat_timeout: Duration,
    #[arg(
        long,
        env = "RINGMASTER_HEARTBEAT_MISSES",
        default_value = "3",
        help = "Misses in a row until a replica is dead"
    )]
    pub heartbeat_misses: std::num::NonZeroU32,
    #[arg(long, env = "RINGMASTER_HEARTBEAT_PATH", default_value = "/heartbeat", value_parser = path, help = "What heartbeats ask for")]
    pub heartbeat_path: String,
    #[arg(
        long,
        env = "RINGMASTER_MAX_CONNECTIONS",
        default_value = "10000",
        help = "Client connections at a time; more wait to be accepted"
    )]
    pub max_connections: NonZeroUsize,
    #[arg(
        long,
        env = "RINGMASTER_MAX_HEAD",
        default_value = "16KiB",
        help = "The longest request head, 1KiB to 1MiB"
    )]
    pub max_head: ByteSize,
    #[arg(
        long,
        env = "RINGMASTER_MAX_REPLICAS",
        default_value_t = 256,
        help = "The most replicas that /add may lead to"
    )]
    pub max_replicas: usize,
    #[arg(
        long,
        env = "RINGMASTER_POOL_PER_SEAT",
        default_value_t = 64,
        help = "Idle connections kept per worker and replica"
    )]
    pub pool_per_seat: usize,
    #[arg(long, env = "RINGMASTER_POOL_IDLE", default_value = "4s", value_parser = humantime::parse_duration, help = "How long an idle connection to a replica is kept")]
    pub pool_idle: Duration,
    #[arg(
        long,
        env = "RINGMASTER_DATA_PORT_ADMIN",
        help = "Who may use /rep, /add and /rm on the data port [default: local; off with --backend]"
    )]
    pub data_port_admin: Option<DataPortAdmin>,
    #[arg(
        long,
        env = "RINGMASTER_CONTROL_TOKEN",
        hide_env_values = true,
        help = "The secret that lets anyone command"
    )]
    pub control_token: Option<Token>,
    #[arg(
        long,
        env = "RINGMASTER_READY_FILE",
        value_name = "PATH",
        help = "Written once all replicas have answered: the two addresses in JSON"
    )]
    pub ready_file: Option<PathBuf>,
    #[arg(
        long,
        env = "RINGMASTER_LOG_FORMAT",
        default_value = "text",
        help = "How log lines on stderr look"
    )]
    pub log_format: LogFormat,
    #[arg(
        long,
        env = "RINGMASTER_LOG_LEVEL",
        default_value = "info",
        help = "The least that is logged: error, warn, info or debug"
    )]
    pub log_level: tracing::Level,
}

/// What replicas there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// This many child processes.
    Process(usize),
    /// These names at these addresses (`host:port`).
    Fixed(Vec<(ReplicaName, String)>),
}

/// What `serve` was asked for, checked.
#[derive(Debug)]
pub struct Config {
    /// Address of the data port.
    pub listen: SocketAddr,
    /// Address of the control port.
    pub control: SocketAddr,
    /// What replicas there are.
    pub replicas: Replicas,
    /// Data-plane threads.
    pub workers: usize,
    /// Kind of ring.
    pub ring: ring::Spec,
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
    /// Where to write the two addresses.
    pub ready_file: Option<PathBuf>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The least that is logged.
    pub log_level: tracing::Level,
}

/// A duration longer than zero.
fn positive(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|err| err.to_string())?;
    if duration.is_zero() {
        Err("must be longer than 0s".to_owned())
    } else {
        Ok(duration)
    }
}

/// A path that can stand in a request line.
fn path(text: &str) -> Result<String, String> {
    let legal = text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if legal {
        Ok(text.to_owned())
    } else {
        Err("must begin with / and be printable ASCII without blanks".to_owned())
    }
}

impl ServeArgs {
    /// Checks what the flags say together.
    ///
    /// # Errors
    /// A sentence for whoever typed them.
    pub fn check(self) -> Result<Config, String> {
        let replicas = self.check_replicas()?;
        let fixed = matches!(replicas, Replicas::Fixed(_));
        if self.heartbeat_interval.is_zero() && !fixed {
            return Err("--heartbeat-interval 0s needs --engine fixed".to_owned());
        }
        let max_head = usize::try_from(self.max_head.as_u64()).unwrap_or(usize::MAX);
        if !(1024..=1024 * 1024).contains(&max_head) {
            return Err(format!(
                "--max-head {} is not between 1KiB and 1MiB",
                self.max_head
            ));
        }
        let door = self.data_port_admin.unwrap_or(if fixed {
            DataPortAdmin::Off
        } else {
            DataPortAdmin::Local
        });
        let admin = match door {
            DataPortAdmin::Off => None,
            door => Some(Access {
                token: self.control_token.clone(),
                anyone: door == DataPortAdmin::Any,
            }),
        };
        let cpus = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Config {
            listen: self.listen,
            control: self.control,
            replicas,
            workers: self.workers.map_or_else(cpus, NonZeroUsize::get),
            ring: self.ring,
            proxy: proxy::Settings {
                key: self.key,
                retries: self.retries,
                admin,
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
                    pool_per_seat: self.pool_per_seat,
                    pool_idle: self.pool_idle,
                },
            },
            access: Access {
                token: self.control_token,
                anyone: false,
            },
            heartbeat: (!self.heartbeat_interval.is_zero()).then_some(fleet::Heartbeat {
                interval: self.heartbeat_interval,
                timeout: self.heartbeat_timeout,
                misses: self.heartbeat_misses.get(),
                path: self.heartbeat_path,
            }),
            start_timeout: self.start_timeout,
            drain_timeout: self.drain_timeout,
            max_replicas: self.max_replicas,
            ready_file: self.ready_file,
            log_format: self.log_format,
            log_level: self.log_level,
        })
    }

    fn check_replicas(&self) -> Result<Replicas, String> {
        let engine = self.engine.unwrap_or(if self.backends.is_empty() {
            Engine::Process
        } else {
            Engine::Fixed
        });
        match engine {
            Engine::Process if !self.backends.is_empty() => {
                Err("--backend goes with --engine fixed".to_owned())
            }
            Engine::Process if self.replicas > self.max_replicas => Err(format!(
                "--replicas {} is more than --max-replicas {}",
                self.replicas, self.max_replicas
            )),
            Engine::Process => Ok(Replicas::Process(self.replicas)),
            Engine::Fixed if self.backends.is_empty() => {
                Err("--engine fixed needs --backend NAME=ADDR".to_owned())
            }
            Engine::Fixed => {
                let backends: Vec<_> = self
                    .backends
                    .iter()
                    .map(|text| backend(text))
                    .collect::<Result<_, _>>()?;
                for (at, (name, _)) in backends.iter().enumerate() {
                    if backends[..at].iter().any(|(other, _)| other == name) {
                        return Err(format!("--backend {name} is given twice"));
                    }
                }
                Ok(Replicas::Fixed(backends))
            }
        }
    }
}

fn backend(text: &str) -> Result<(ReplicaName, String), String> {
    let (name, addr) = text
        .split_once('=')
        .ok_or_else(|| format!("--backend {text} is not NAME=ADDR"))?;
    let name = name
        .parse()
        .map_err(|err| format!("--backend {text}: {err}"))?;
    match addr.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok((name, addr.to_owned()))
        }
        _ => Err(format!("--backend {text}: the address is not HOST:PORT")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(flags: &[&str]) -> Result<Config, String> {
        let args = ["ringmaster", "serve"].iter().chain(flags);
        let args = Args::try_parse_from(args).map_err(|err| err.to_string())?;
        let Command::Serve(serve) = args.command;
        serve.check()
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = check(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:5000");
        assert_eq!(config.control.to_string(), "127.0.0.1:5001");
        assert_eq!(config.replicas, Replicas::Process(3));
        assert_eq!(
            config.proxy.key.to_string(),
            "header:x-request-id,query:id,random"
        );
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
    fn backends_imply_the_fixed_engine_and_keep_their_own_admin_paths() {
        let config = check(&["--backend", "a=127.0.0.1:1", "--backend", "b=[::1]:2"]).unwrap();
        let Replicas::Fixed(backends) = config.replicas else {
            panic!("not fixed")
        };
        assert_eq!(backends[1].1, "[::1]:2");
        assert!(config.proxy.admin.is_none());
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
            (&["--head-timeout", "0s"], "longer than 0s"),
            (&["--head-timeout", "10"], "invalid value"),
            (&["--ring", "square"], "unknown ring"),
            (&["--key", "random,path"], "at the end"),
            (&["--heartbeat-path", "x"], "must begin with /"),
            (&["--workers", "0"], "invalid value"),
        ] {
            let refused = check(flags).unwrap_err();
            assert!(refused.contains(sentence), "{flags:?}: {refused}");
        }
    }
}
